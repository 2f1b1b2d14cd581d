-- The ladder of a follow-up: what is due fires once, to the right person; what is no longer needed is skipped. One
-- transaction, undone at the end: now() stands still in it, so time passes by moving rows.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-PROMISE', 'x'));
INSERT INTO areas (branch_id, code) VALUES (pg_temp.id('branch'), 'north');
INSERT INTO people (branch_id, code, name, role, area_id)
    SELECT branch_id, p.code, p.code, p.role, CASE p.code WHEN 'mm-area' THEN area_id END
    FROM areas CROSS JOIN (VALUES ('am', 'account_manager'), ('am-alone', 'account_manager'), ('mm', 'market_manager'),
                                  ('mm-area', 'market_manager'), ('sup', 'supervisor'), ('sup-2', 'supervisor')) p (code, role)
    WHERE branch_id = pg_temp.id('branch');
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
UPDATE people SET reports_to_id = pg_temp.id('mm') WHERE branch_id = pg_temp.id('branch') AND code = 'am';
INSERT INTO retailers (branch_id, code, name, manager_id, area_id)
    SELECT branch_id, 'r', 'r', pg_temp.id('am-alone'), area_id FROM areas WHERE branch_id = pg_temp.id('branch');
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-promise', '\x00');
INSERT INTO targets (branch_id, person_id, channel, address, sealed_secret)
    SELECT branch_id, person_id, 'webhook', 'http://127.0.0.1/', '\x01' FROM people WHERE branch_id = pg_temp.id('branch');

-- A follow-up with the default ladder, raised so long ago; its id by name.
CREATE FUNCTION pg_temp.raise(p_name text, p_owner text, p_ago interval, p_retailer text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    WITH c AS (
        INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at)
        SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), 'complaint', 'x', g.gateway_id, now() - p_ago
        FROM branches b JOIN gateways g USING (branch_id) WHERE branch_id = pg_temp.id('branch') RETURNING *
    ), f AS (
        INSERT INTO follow_ups (branch_id, complaint, owner_id, policy_id, raised_at, created_at, due_at, retailer_id)
        SELECT c.branch_id, c.reference, pg_temp.id(p_owner), p.policy_id, c.raised_at, c.raised_at, c.raised_at + p.deadline,
               (SELECT retailer_id FROM retailers r WHERE r.branch_id = c.branch_id AND r.code = p_retailer)
        FROM c JOIN policies p USING (branch_id) RETURNING *
    ), s AS (
        INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, due_at)
        SELECT f.branch_id, f.follow_up_id, s.step, s.action, s.whom, f.raised_at + interval '24 hours' * s.share::float8 + s.plus
        FROM f JOIN policy_steps s USING (branch_id, policy_id))
    INSERT INTO ids SELECT p_name, follow_up_id FROM f $$;
-- What has been made for a follow-up: "am reminded" and so on.
CREATE FUNCTION pg_temp.told(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(p.code || ' ' || n.type || ' ' || n.step, ', ' ORDER BY n.step), '')
    FROM notifications n JOIN people p ON p.branch_id = n.branch_id AND p.person_id = n.addressee_id
    WHERE n.follow_up_id = pg_temp.id(p_name) $$;
CREATE FUNCTION pg_temp.dealt(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(step || coalesce(' ' || skipped, ''), ', ' ORDER BY step)
    FROM follow_up_steps WHERE follow_up_id = pg_temp.id(p_name) AND fired_at IS NOT NULL $$;
-- Another database under this test may have steps of its own: they are fired first.
SELECT count(*) FROM fire_due_steps(NULL, 100000);

-- Nothing before its time.
SELECT pg_temp.raise('new', 'am', '1 hour');
SET LOCAL ROLE ringback_app;
SELECT results_eq('SELECT action, looked_until, next_in BETWEEN 39590 AND 39600 FROM fire_due_steps(NULL, 10)', $$VALUES (NULL::text, now(), true)$$,
                  'nothing is due; the next step is in 11 hours');
RESET ROLE;

-- Each in turn, to whom it is meant for, once.
SELECT pg_temp.raise('half', 'am', '12 hours 3 seconds');
SET LOCAL ROLE ringback_app;
SELECT results_eq('SELECT action, skipped, lateness BETWEEN 3 AND 4 FROM fire_due_steps(NULL, 10)', $$VALUES ('reminded', NULL::text, true), (NULL, NULL, NULL)$$,
                  'half of the time is over: a reminder, three seconds late');
RESET ROLE;
SELECT is(pg_temp.told('half'), 'am reminded reminder-50', 'to the owner');
SELECT results_eq($$SELECT kind, details::text, by_person_id FROM follow_up_history WHERE follow_up_id = pg_temp.id('half')$$,
                  $$VALUES ('reminded', '{"step": "reminder-50", "whom": "owner", "person": "am"}', NULL::integer)$$, 'and a line in its history');
SELECT is((SELECT count(action) FROM fire_due_steps(NULL, 10)), 0::bigint, 'only once');
SELECT pg_temp.raise('late', 'am', '26 hours 1 second');
SELECT is((SELECT count(action) FROM fire_due_steps(NULL, 2)), 2::bigint, 'a look takes as many as it is told');
SELECT is((SELECT count(action) FROM fire_due_steps(NULL, 10)), 3::bigint, 'the next one the others');
SELECT is(pg_temp.told('late'), 'mm escalated escalation-1, sup escalated escalation-2, am overdue overdue, am reminded reminder-50, am reminded reminder-75', 'each to whom it is meant for');

SELECT pg_temp.raise('backdated', 'am', '12 hours 1 second');
UPDATE follow_ups SET created_at = now() WHERE follow_up_id = pg_temp.id('backdated');
SELECT ok((SELECT lateness < 1 FROM fire_due_steps(NULL, 10) WHERE action IS NOT NULL), 'what was past when it arrived is not late for that');

-- The cursor is a hint that leaves out what is behind it.
SELECT pg_temp.raise('behind', 'am', '13 hours');
SELECT is((SELECT count(action) FROM fire_due_steps(now() - interval '2 seconds', 10)), 0::bigint, 'a look ahead of the cursor does not see it');
SELECT is((SELECT looked_until FROM fire_due_steps(NULL, 1) WHERE action IS NULL), now() - interval '1 hour', 'a full look goes on where it stopped');
SELECT is(pg_temp.told('behind'), 'am reminded reminder-50', 'a look at all does');

SELECT pg_temp.raise('same-' || i, 'am', '12 hours 2 seconds') FROM generate_series(1, 3) i;
SELECT looked_until AS reached FROM fire_due_steps(NULL, 2) WHERE action IS NULL \gset
SELECT is((SELECT count(action) FROM fire_due_steps(:'reached', 2)), 1::bigint, 'steps of the same moment are not lost between two looks');

-- Who is the market manager, and what without an owner.
SELECT pg_temp.raise('area', 'am-alone', '25 hours 1 second', 'r');
SELECT pg_temp.raise('nobody', NULL, '25 hours 1 second');
SELECT is((SELECT count(action) FROM fire_due_steps(NULL, 100)), 8::bigint, 'two ladders up to the first escalation');
SELECT is(pg_temp.told('area'), 'mm-area escalated escalation-1, am-alone overdue overdue, am-alone reminded reminder-50, am-alone reminded reminder-75',
          'an owner without a superior: the market manager of the retailer''s area');
SELECT is(pg_temp.told('nobody'), 'sup escalated escalation-1, sup overdue overdue, sup reminded reminder-50, sup reminded reminder-75',
          'without an owner the duty supervisor hears all');
UPDATE branches SET duty_supervisor_id = pg_temp.id('sup-2') WHERE branch_id = pg_temp.id('branch');
SELECT pg_temp.raise('duty', 'am', '27 hours');
SELECT is((SELECT count(action) FROM fire_due_steps(NULL, 100)), 5::bigint, 'all of a ladder');
SELECT matches(pg_temp.told('duty'), 'sup-2 escalated escalation-2', 'the configured duty supervisor');

-- What is no longer needed.
SELECT pg_temp.raise('closed', 'am', '13 hours');
SELECT pg_temp.raise('contacted', 'am', '13 hours');
SELECT pg_temp.raise('resolved', 'am', '13 hours');
SELECT pg_temp.raise('acknowledged', 'am', '13 hours');
SET LOCAL session_replication_role = replica; -- how they got there is not the point here
UPDATE follow_ups SET state = i.name FROM ids i WHERE follow_up_id = i.id AND name IN ('closed', 'contacted', 'resolved', 'acknowledged');
SET LOCAL session_replication_role = origin;
SELECT is((SELECT string_agg(action || ' ' || skipped, ', ' ORDER BY skipped) FROM fire_due_steps(NULL, 100)),
          'reminded closed, reminded contacted, reminded contacted', 'steps of follow-ups that were contacted or closed are skipped');
SELECT is(pg_temp.dealt('closed'), 'reminder-50 closed', 'which they remember');
SELECT is(pg_temp.told('closed') || pg_temp.told('contacted') || pg_temp.told('resolved'), '', 'and nobody is told');
SELECT is((SELECT count(*) FROM follow_up_history WHERE follow_up_id = pg_temp.id('closed')), 0::bigint, 'nor history written');
SELECT is(pg_temp.told('acknowledged'), 'am reminded reminder-50', 'acknowledging does not stop what is for lateness');

-- A step that cannot be fired fails any look that takes it along with others, and is passed over by one that takes it alone.
CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$;
SELECT pg_temp.raise('poison', 'am', '13 hours');
SELECT pg_temp.raise('healthy', 'am', '12 hours 30 minutes');
DO $$ BEGIN EXECUTE format('CREATE TRIGGER poison BEFORE INSERT ON notifications FOR EACH ROW WHEN (NEW.follow_up_id = %s)
                            EXECUTE FUNCTION pg_temp.refuse()', pg_temp.id('poison')); END $$;
SELECT throws_ok('SELECT fire_due_steps(NULL, 2)', 'P0001', 'poison', 'a step that cannot be fired');
SELECT is((SELECT action || ' ' || skipped FROM fire_due_steps(NULL, 1) WHERE action IS NOT NULL), 'reminded failed', 'alone is passed over');
SELECT is((SELECT count(action) FROM fire_due_steps(NULL, 2)), 1::bigint, 'so that the next one');
SELECT is(pg_temp.told('healthy'), 'am reminded reminder-50', 'is fired');

-- Housekeeping.
SET LOCAL ROLE ringback_app;
SELECT is(tidy(), 3, 'three months of bodies are made ready');
SELECT is(tidy(), 0, 'once');
RESET ROLE;
SELECT has_table('ringback'::name, ('event_bodies_' || to_char(now() AT TIME ZONE 'UTC' + interval '2 months', 'YYYY_MM'))::name, 'two months ahead');
SELECT is((SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = ('event_bodies_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'))::regclass
             AND current_setting('timezone') IS NOT NULL),
          format('FOR VALUES FROM (%L) TO (%L)', date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
                 (date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'), 'by the months of UTC');

SELECT * FROM finish();
ROLLBACK;
