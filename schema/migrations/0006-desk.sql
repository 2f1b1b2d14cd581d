-- People at the console: who may log in, sessions, and which rows each sees. ringback_console is the role of the console's
-- connections: it reads under row-level security and writes through functions. The owner, as whom intake, the clock and the
-- outbox run, is not under it: they serve no person.

ALTER TABLE accounts DROP CONSTRAINT accounts_role_check;
ALTER TABLE accounts ADD CONSTRAINT accounts_role_check CHECK (role IN ('operator', 'account_manager', 'market_manager',
    'supervisor', 'deliverer', 'inspector', 'administrator'));

ALTER TABLE people ADD COLUMN sees_reports boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN people.sees_reports IS 'Named for reports of offences (举报): besides inspectors, who always may, sees them and is told of them.';

ALTER TABLE branches ADD COLUMN session_idle interval NOT NULL DEFAULT '4 hours' CHECK (session_idle > interval '0'),
                     ADD COLUMN session_whole interval NOT NULL DEFAULT '24 hours' CHECK (session_whole > interval '0');
COMMENT ON COLUMN branches.session_idle IS 'A session ends after so long without a request; session_whole: after so long in any case.';

CREATE TABLE sessions (
    branch_id  integer     NOT NULL,
    session_id bigint      GENERATED ALWAYS AS IDENTITY,
    account_id integer     NOT NULL,
    token_hash bytea       NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    ends_at    timestamptz NOT NULL,
    ended_at   timestamptz,
    address    text        NOT NULL,
    agent      text,
    PRIMARY KEY (branch_id, session_id),
    FOREIGN KEY (branch_id, account_id) REFERENCES accounts
);
CREATE INDEX sessions_by_account ON sessions (branch_id, account_id) WHERE ended_at IS NULL;
COMMENT ON TABLE sessions IS 'Log-ins at the console. The token itself is only in the browser.';
COMMENT ON COLUMN sessions.token_hash IS 'BLAKE2b-256 of the token of 32 random bytes.';
COMMENT ON COLUMN sessions.seen_at IS 'Of its latest request, to the minute; ends_at is its absolute end, ended_at when somebody ended it.';

CREATE TYPE answer AS (status integer, media text, etag text, location text, body text, code text, detail text);
COMMENT ON TYPE answer IS 'What the console answers: body is JSON unless media says otherwise; with a code it is a problem, body its errors.';

-- The promise's life, written by moves only (schema/functions): what a follow-up has been through, besides its history.
ALTER TABLE follow_ups
    ADD COLUMN kind text NOT NULL DEFAULT 'complaint',
    ADD COLUMN category text,
    ADD COLUMN severity smallint,
    ADD COLUMN area_id integer,
    ADD COLUMN revision integer NOT NULL DEFAULT 1,
    ADD COLUMN work_due_at timestamptz,
    ADD COLUMN promised_at timestamptz,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by_id integer,
    ADD COLUMN first_try_at timestamptz,
    ADD COLUMN contacted_at timestamptz,
    ADD COLUMN contacted_by_id integer,
    ADD COLUMN proof_call text,
    ADD COLUMN resolved_at timestamptz,
    ADD COLUMN resolved_by_id integer,
    ADD COLUMN resolution text,
    ADD COLUMN valid boolean,
    ADD COLUMN thanks boolean,
    ADD COLUMN root_cause text,
    ADD COLUMN corrective_action text,
    ADD COLUMN verified_at timestamptz,
    ADD COLUMN verified_by_id integer,
    ADD COLUMN satisfied boolean,
    ADD COLUMN reopened integer NOT NULL DEFAULT 0,
    ADD COLUMN merged_into bigint,
    ADD COLUMN incident_id integer,
    ADD FOREIGN KEY (branch_id, area_id) REFERENCES areas,
    ADD FOREIGN KEY (branch_id, merged_into) REFERENCES follow_ups;
COMMENT ON COLUMN follow_ups.kind IS 'The complaint''s kind; category, severity and its retailer''s area_id likewise: lists and figures filter by them.';
COMMENT ON COLUMN follow_ups.revision IS 'One more at each change: the ETag of RFC 9110 that If-Match names.';
COMMENT ON COLUMN follow_ups.work_due_at IS 'The deadline in working hours beside due_at, where the policy has one.';
COMMENT ON COLUMN follow_ups.promised_at IS 'The time last promised to the retailer.';
COMMENT ON COLUMN follow_ups.contacted_at IS 'When the retailer was reached: for proved ones the answer of the call, which proof_call names.';
COMMENT ON COLUMN follow_ups.valid IS 'Whether the grievance was founded (有效投诉); thanks: whether the retailer was thanked for raising it.';
COMMENT ON COLUMN follow_ups.satisfied IS 'What the latest return visit found.';
COMMENT ON COLUMN follow_ups.reopened IS 'How often; the clock stays the first one''s.';
COMMENT ON COLUMN follow_ups.merged_into IS 'The follow-up that stands for this one, by the same retailer about the same thing.';

ALTER TABLE policies
    ADD COLUMN category text,
    ADD COLUMN severity smallint CHECK (severity BETWEEN 1 AND 3),
    ADD COLUMN work_deadline interval CHECK (work_deadline > interval '0'),
    ADD COLUMN proof_seconds integer NOT NULL DEFAULT 10 CHECK (proof_seconds BETWEEN 0 AND 3600),
    ADD COLUMN acknowledge_within interval DEFAULT '1 hour' CHECK (acknowledge_within > interval '0'),
    ADD COLUMN verify_severity smallint CHECK (verify_severity BETWEEN 1 AND 3);
COMMENT ON COLUMN policies.work_deadline IS 'Working time after which work_due_at falls, by the branch''s calendar; null: none.';
COMMENT ON COLUMN policies.proof_seconds IS 'So long a call must have lasted to prove a contact.';
COMMENT ON COLUMN policies.acknowledge_within IS 'Not acknowledged within this: next channel, then the deputy, then up the line; null: never.';
COMMENT ON COLUMN policies.verify_severity IS 'From this severity up a supervisor verifies; null: the return visit alone does.';

-- Row-level security. Who asks is in settings of the transaction (schema/functions/80-desk.sql sets and reads them); the
-- sub-selects make each of them a constant of the query. Operators of text search are not leakproof: lists ask by equality,
-- ranges and starts_with.
CREATE FUNCTION asker_branch() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('ringback.branch', true), '')::integer $$;
CREATE FUNCTION asker_account() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('ringback.account', true), '')::integer $$;
CREATE FUNCTION asker_person() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('ringback.person', true), '')::integer $$;
CREATE FUNCTION asker_role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(current_setting('ringback.role', true), '') $$;
CREATE FUNCTION asker_everything() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(current_setting('ringback.role', true), '') IN ('operator', 'supervisor', 'administrator') $$;
CREATE FUNCTION asker_reports() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(current_setting('ringback.reports', true), '') = 'true' $$;
CREATE FUNCTION asker_managers() RETURNS integer[] LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(nullif(current_setting('ringback.managers', true), ''), '{}')::integer[] $$;
CREATE FUNCTION asker_area() RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('ringback.area', true), '')::integer $$;
CREATE FUNCTION asker_actor() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT coalesce(nullif(current_setting('ringback.actor', true), ''), 'system') $$;
COMMENT ON FUNCTION asker_actor() IS 'Who asks, for the audit log: the account''s name; "system" when nobody does.';
COMMENT ON FUNCTION asker_branch() IS 'The branch of who asks; null: nobody does, and nothing is seen.';
COMMENT ON FUNCTION asker_account() IS 'The account that asks.';
COMMENT ON FUNCTION asker_person() IS 'The person behind the account; null: it has none.';
COMMENT ON FUNCTION asker_role() IS 'The role of the account that asks; empty: nobody asks.';
COMMENT ON FUNCTION asker_everything() IS 'Whether who asks sees the whole branch, but for reports.';
COMMENT ON FUNCTION asker_reports() IS 'Whether who asks sees reports of offences.';
COMMENT ON FUNCTION asker_managers() IS 'Whose retailers and follow-ups are those of who asks: himself, whom he stands in for, and for a market manager his people.';
COMMENT ON FUNCTION asker_area() IS 'The area that a market manager answers for; null: none.';
GRANT EXECUTE ON FUNCTION asker_branch(), asker_account(), asker_person(), asker_role(), asker_everything(), asker_reports(),
    asker_managers(), asker_area(), asker_actor() TO ringback_console;

GRANT USAGE ON SCHEMA ringback TO ringback_console;
GRANT SELECT ON branches, areas, routes, people, person_phones, retailers, retailer_phones, retailer_changes, products,
    product_substitutes, caps, order_cycles, cycle_uses, calls, orders, order_lines, complaints, policies, policy_steps, follow_ups,
    follow_up_history, follow_up_steps, notifications, notification_attempts, audit_log TO ringback_console;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['branches', 'areas', 'routes', 'people', 'person_phones', 'products', 'product_substitutes',
        'caps', 'order_cycles', 'cycle_uses', 'policies', 'policy_steps'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY own_branch ON %I FOR SELECT TO ringback_console
                        USING (branch_id = (SELECT asker_branch()))', v_table);
        EXECUTE format('CREATE POLICY daemon ON %I FOR SELECT TO ringback_app USING (true)', v_table);
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['retailers', 'retailer_phones', 'retailer_changes', 'calls', 'orders', 'order_lines',
        'complaints', 'follow_ups', 'follow_up_history', 'follow_up_steps', 'notifications', 'notification_attempts',
        'audit_log'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY daemon ON %I FOR SELECT TO ringback_app USING (true)', v_table);
    END LOOP;
END $$;

CREATE POLICY his ON retailers FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND (
    (SELECT asker_everything() OR asker_role() = 'inspector')
    OR manager_id = ANY ((SELECT asker_managers())::integer[]) OR area_id = (SELECT asker_area())));
CREATE POLICY his ON follow_ups FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch())
    AND CASE WHEN kind = 'report' THEN (SELECT asker_reports()) ELSE (SELECT asker_everything())
             OR owner_id = ANY ((SELECT asker_managers())::integer[])
             OR ((SELECT asker_role()) IN ('account_manager', 'market_manager') AND EXISTS (
                    SELECT FROM retailers r WHERE r.branch_id = follow_ups.branch_id AND r.retailer_id = follow_ups.retailer_id)) END);
CREATE POLICY his ON complaints FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND EXISTS (
    SELECT FROM follow_ups f WHERE f.branch_id = complaints.branch_id AND f.complaint = complaints.reference));
DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['retailer_phones', 'retailer_changes', 'orders', 'calls'] LOOP
        EXECUTE format('CREATE POLICY his ON %1$I FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND (
            (SELECT asker_everything()) OR EXISTS (SELECT FROM retailers r
                WHERE r.branch_id = %1$I.branch_id AND r.retailer_id = %1$I.retailer_id)))', v_table);
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['follow_up_history', 'follow_up_steps', 'notifications'] LOOP
        EXECUTE format('CREATE POLICY his ON %1$I FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch())
            AND EXISTS (SELECT FROM follow_ups f WHERE f.branch_id = %1$I.branch_id AND f.follow_up_id = %1$I.follow_up_id))', v_table);
    END LOOP;
END $$;
CREATE POLICY his ON order_lines FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND (
    (SELECT asker_everything()) OR EXISTS (SELECT FROM orders o
        WHERE o.branch_id = order_lines.branch_id AND o.reference = order_lines.reference)));
CREATE POLICY his ON notification_attempts FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND EXISTS (
    SELECT FROM notifications n WHERE n.branch_id = notification_attempts.branch_id
        AND n.notification_id = notification_attempts.notification_id));
CREATE POLICY for_those_in_charge ON audit_log FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch())
    AND (SELECT asker_role()) IN ('supervisor', 'administrator'));
