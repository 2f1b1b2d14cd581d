-- What the console's lists need to be fast at half a million retailers, the reasons of calls, and the gateway that stands for
-- the console itself.
--
-- Indexes of orders, complaints, calls and follow-ups are written by intake. So: lists of orders and complaints are in the order
-- of their references, which one sequence gives out as they are stored, and need no index by time; what can be partial is, with
-- a condition that does not hold when the row is inserted wherever that is possible.

-- Retailers and people are written by imports alone.
CREATE INDEX retailers_by_area ON retailers (branch_id, area_id, code);
CREATE INDEX retailers_by_route ON retailers (branch_id, route_id, code);
CREATE INDEX retailers_by_name ON retailers (branch_id, name COLLATE "C");
CREATE INDEX retailers_by_prefix ON retailers (branch_id, code COLLATE "C");

-- Written when an event names an operator or a call; a call's identifier is long and without order, of which hash keeps least.
CREATE INDEX orders_by_operator ON orders (branch_id, operator_id, reference) WHERE operator_id IS NOT NULL;
CREATE INDEX orders_by_call ON orders USING hash (call) WHERE call IS NOT NULL;
CREATE INDEX complaints_by_operator ON complaints (branch_id, operator_id, reference) WHERE operator_id IS NOT NULL;

-- A call is inserted once; what its later events add touches none of these.
CREATE INDEX calls_in_order ON calls (branch_id, first_seen_at, call);
CREATE INDEX calls_from ON calls (branch_id, from_phone, first_seen_at) WHERE from_phone IS NOT NULL;
CREATE INDEX calls_taken_at ON calls (branch_id, to_phone, first_seen_at) WHERE direction = 'inbound' AND to_phone IS NOT NULL;

-- One for all lists by deadline. State moves are not "hot" already, since the indexes of open ones depend on the state.
CREATE INDEX follow_ups_by_state ON follow_ups (branch_id, state, due_at, follow_up_id);
CREATE INDEX follow_ups_closed_by_owner ON follow_ups (branch_id, owner_id, due_at) WHERE state = 'closed';
CREATE INDEX follow_ups_closed_by_retailer ON follow_ups (branch_id, retailer_id, due_at) WHERE state = 'closed';
CREATE INDEX follow_ups_reports ON follow_ups (branch_id, state, due_at, follow_up_id) WHERE kind = 'report';
CREATE INDEX follow_ups_by_proof ON follow_ups (branch_id, proof, due_at, follow_up_id) WHERE proof IS NOT NULL;

-- An entry for each notification once it has ended; those that have not have the indexes of the outbox. None by id alone: the
-- console names a notification by its follow-up and its id together, as the key does.
CREATE INDEX notifications_finished ON notifications (branch_id, finished_at, notification_id) WHERE finished_at IS NOT NULL;
CREATE INDEX notifications_of_recipient ON notifications (branch_id, recipient_id, finished_at, notification_id)
    WHERE finished_at IS NOT NULL;

-- Why somebody called, when neither an order nor a complaint says so.
CREATE TABLE call_reasons (
    branch_id  integer     NOT NULL REFERENCES branches,
    reason_id  integer     GENERATED ALWAYS AS IDENTITY,
    code       text        NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    name_zh    text        NOT NULL CHECK (name_zh <> ''),
    name_en    text        NOT NULL CHECK (name_en <> ''),
    position   smallint    NOT NULL DEFAULT 100,
    retired_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, reason_id),
    UNIQUE (branch_id, code)
);
COMMENT ON TABLE call_reasons IS 'Reason codes (来电原因) for calls that led to no order and no complaint: data of the branch.';
COMMENT ON COLUMN call_reasons.position IS 'Their order in lists.';

CREATE TABLE call_reason_entries (
    branch_id  integer     NOT NULL,
    entry_id   bigint      GENERATED ALWAYS AS IDENTITY,
    call       text        NOT NULL,
    reason_id  integer     NOT NULL,
    note       text,
    at         timestamptz NOT NULL DEFAULT now(),
    by_account text        NOT NULL,
    by_person_id integer,
    PRIMARY KEY (branch_id, entry_id),
    FOREIGN KEY (branch_id, call) REFERENCES calls,
    FOREIGN KEY (branch_id, reason_id) REFERENCES call_reasons,
    FOREIGN KEY (branch_id, by_person_id) REFERENCES people
);
CREATE INDEX call_reason_entries_by_call ON call_reason_entries (branch_id, call, entry_id);
COMMENT ON TABLE call_reason_entries IS 'What a call was about, as somebody entered it; the latest holds, the former stay. Only grows.';

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['call_reasons', 'call_reason_entries'] LOOP
        EXECUTE format('CREATE TRIGGER keep_rows BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('CREATE TRIGGER keep_table BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('GRANT SELECT ON %I TO ringback_console', v_table);
    END LOOP;
END $$;
CREATE TRIGGER keep_values BEFORE UPDATE ON call_reason_entries FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE POLICY own_branch ON call_reasons FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()));
CREATE POLICY his ON call_reason_entries FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND (
    (SELECT asker_everything()) OR EXISTS (SELECT FROM calls c
        WHERE c.branch_id = call_reason_entries.branch_id AND c.call = call_reason_entries.call)));

-- Events that people enter at the console go the way of all events, as from this gateway of their branch. It has no key: nobody
-- can authenticate as it, and it is not listed with those who can. The first event entered makes it.
ALTER TABLE gateways ALTER COLUMN sealed_key DROP NOT NULL, ADD COLUMN built_in boolean NOT NULL DEFAULT false;
ALTER TABLE gateways ADD CHECK (built_in = (sealed_key IS NULL));
CREATE UNIQUE INDEX gateways_built_in ON gateways (branch_id) WHERE built_in;
COMMENT ON COLUMN gateways.built_in IS 'The console of the branch itself: no key, no credentials.';

-- What every branch begins with; 20-branch.sql calls it for new ones.
CREATE FUNCTION furnish_desk(p_branch integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO call_reasons (branch_id, code, name_zh, name_en, position) VALUES
        (p_branch, 'order-question', '咨询订货', 'Question about an order', 10),
        (p_branch, 'delivery-question', '咨询送货', 'Question about a delivery', 20),
        (p_branch, 'goods-question', '咨询货源', 'Question about goods or allocation', 30),
        (p_branch, 'settlement-question', '咨询结算', 'Question about settlement', 40),
        (p_branch, 'policy-question', '咨询政策', 'Question about rules or licences', 50),
        (p_branch, 'data-change', '资料变更', 'Told us that his data changed', 60),
        (p_branch, 'wanted-person', '找人', 'Asked for somebody', 70),
        (p_branch, 'no-order', '本期不订货', 'Orders nothing this cycle', 80),
        (p_branch, 'call-back', '回电', 'We called back', 90),
        (p_branch, 'wrong-number', '打错', 'Wrong number', 100),
        (p_branch, 'silent', '无声或骚扰', 'Silent or a nuisance', 110),
        (p_branch, 'test', '测试', 'A test of the line', 120);
END $$;
COMMENT ON FUNCTION furnish_desk(integer) IS 'Gives a branch its reason codes for calls.';
SELECT furnish_desk(branch_id) FROM branches;
