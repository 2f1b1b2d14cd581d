-- The link by which a notification's recipient acknowledges. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-LINK', 'x'));
INSERT INTO people (branch_id, code, name, role, sees_reports)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, p.code = 'named'
    FROM (VALUES ('am', 'account_manager'), ('am-2', 'account_manager'), ('deputy', 'account_manager'), ('mm', 'market_manager'),
                 ('sup', 'supervisor'), ('named', 'supervisor'), ('insp', 'inspector')) p (code, role);
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
UPDATE people SET reports_to_id = pg_temp.id('mm'), deputy_id = pg_temp.id('deputy') WHERE person_id = pg_temp.id('am');
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-link', '\x00');
CREATE FUNCTION pg_temp.raise(p_name text, p_owner text, p_kind text DEFAULT 'complaint') RETURNS void LANGUAGE sql AS $$
    WITH c AS (
        INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at)
        SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), p_kind, 'secret words', g.gateway_id, '2026-03-02 03:00+00'
        FROM branches b JOIN gateways g USING (branch_id) WHERE branch_id = pg_temp.id('branch') RETURNING *
    ), f AS (
        INSERT INTO follow_ups (branch_id, complaint, kind, owner_id, policy_id, raised_at, due_at)
        SELECT c.branch_id, c.reference, p_kind, pg_temp.id(p_owner), p.policy_id, c.raised_at, c.raised_at + p.deadline
        FROM c JOIN policies p USING (branch_id) RETURNING *)
    INSERT INTO ids SELECT p_name, follow_up_id FROM f $$;
CREATE FUNCTION pg_temp.link(p_name text, p_person text) RETURNS text LANGUAGE sql AS $$
    SELECT acknowledge_token(pg_temp.id('branch'), pg_temp.id(p_name), pg_temp.id(p_person)) $$;
-- What a look, or a press of the button, finds.
CREATE FUNCTION pg_temp.look(p_name text, p_person text) RETURNS text LANGUAGE sql AS $$
    SELECT what FROM acknowledge_by_link(pg_temp.link(p_name, p_person), false) $$;
CREATE FUNCTION pg_temp.press(p_name text, p_person text) RETURNS text LANGUAGE sql AS $$
    SELECT what FROM acknowledge_by_link(pg_temp.link(p_name, p_person), true) $$;

-- The link itself.
SELECT pg_temp.raise('a', 'am'), pg_temp.raise('b', 'am');
SELECT matches(pg_temp.link('a', 'am'), '^[A-Za-z0-9_-]{43}$', 'a link is 43 harmless characters');
SELECT is(pg_temp.link('a', 'am'), pg_temp.link('a', 'am'), 'always the same');
SELECT is((SELECT count(DISTINCT l) FROM (VALUES (pg_temp.link('a', 'am')), (pg_temp.link('b', 'am')), (pg_temp.link('a', 'mm'))) x (l)), 3::bigint,
          'another for each follow-up and each recipient');
SET LOCAL ringback.public_url = 'https://ring.example/desk/';
SELECT is(notification_body(gen_random_uuid(), pg_temp.id('branch'), pg_temp.id('a'), 'assigned', 'assigned', pg_temp.id('am'))::jsonb #>> '{data,acknowledge_url}',
          'https://ring.example/desk/a/' || pg_temp.link('a', 'am'), 'it lies under public_url');
SELECT is(notification_body(gen_random_uuid(), pg_temp.id('branch'), pg_temp.id('a'), 'assigned', 'assigned', NULL)::jsonb #> '{data,acknowledge_url}',
          'null', 'nobody has none');
SET LOCAL ringback.public_url = '';
SELECT is(notification_body(gen_random_uuid(), pg_temp.id('branch'), pg_temp.id('a'), 'assigned', 'assigned', pg_temp.id('am'))::jsonb #> '{data,acknowledge_url}',
          'null', 'nor is there one without a public_url');

SET LOCAL ROLE ringback_app;
SELECT throws_ok('SELECT * FROM acknowledge_keys', '42501', NULL, 'the daemon does not read the secret');
SELECT throws_ok('SELECT acknowledge_token(1, 1, 1)', '42501', NULL, 'nor makes links of its own');
SET LOCAL ROLE ringback_console;
SELECT throws_ok('SELECT * FROM acknowledge_keys', '42501', NULL, 'nor does the console');
RESET ROLE;

-- Each character counts.
SELECT is_empty($$
    SELECT n FROM generate_series(1, 43) n CROSS JOIN LATERAL (SELECT pg_temp.link('a', 'am') AS l) l
    CROSS JOIN LATERAL acknowledge_by_link(overlay(l.l PLACING CASE substr(l.l, n, 1) WHEN 'Q' THEN 'g' ELSE 'Q' END FROM n FOR 1), true) x
    WHERE x.what <> 'unknown'
    $$, 'a link that was tampered with is none');
SELECT is((acknowledge_by_link(x.token, true)).what, 'unknown', x.why) FROM (VALUES ('', 'an empty one is none'), (repeat('A', 43), 'nor one of nothing'),
    (repeat('a', 4000), 'nor a long one'), (left(pg_temp.link('a', 'am'), 42), 'nor a part'), (pg_temp.link('a', 'am') || '=', 'nor one with more behind it')) x (token, why);
SELECT is((SELECT state FROM follow_ups WHERE follow_up_id = pg_temp.id('a')), 'open', 'and nothing is acknowledged by them');

-- Looking and pressing.
SELECT results_eq($$SELECT what, reference ~ '^[0-9]{10}$', due FROM acknowledge_by_link(pg_temp.link('a', 'am'), false)$$, $$VALUES ('open', true, '2026-03-03 11:00')$$,
                  'a look shows reference and deadline, by the branch''s clock');
SELECT is((SELECT state FROM follow_ups WHERE follow_up_id = pg_temp.id('a')), 'open', 'and changes nothing');
SELECT is(pg_temp.press('a', 'am'), 'acknowledged', 'a press acknowledges');
SELECT is(pg_temp.press('a', 'am'), 'acknowledged', 'again');
SELECT is(pg_temp.press('a', 'mm'), 'acknowledged', 'by somebody else too');
SELECT results_eq($$SELECT state, acknowledged_at, acknowledged_by_id FROM follow_ups WHERE follow_up_id = pg_temp.id('a')$$,
                  $$VALUES ('acknowledged', now(), pg_temp.id('am'))$$, 'the first of them is remembered');
SELECT results_eq($$SELECT kind, by_person_id, details FROM follow_up_history WHERE follow_up_id = pg_temp.id('a')$$,
                  $$VALUES ('acknowledged', pg_temp.id('am'), '{"by": "link"}'::jsonb)$$, 'with one line in its history');
UPDATE follow_ups SET state = 'contacted', proof = 'recorded', contacted_at = now() WHERE follow_up_id = pg_temp.id('a');
SELECT is(pg_temp.press('a', 'am'), 'contacted', 'what was called back stays so');
UPDATE follow_ups SET state = 'resolved', resolved_at = now(), resolved_by_id = owner_id, resolution = 'x' WHERE follow_up_id = pg_temp.id('a');
SELECT is(pg_temp.press('a', 'am'), 'contacted', 'afterwards as well');
UPDATE follow_ups SET state = 'verified', verified_at = now(), verified_by_id = pg_temp.id('sup') WHERE follow_up_id = pg_temp.id('a');
UPDATE follow_ups SET state = 'closed', closed_at = now() WHERE follow_up_id = pg_temp.id('a');
SELECT is(pg_temp.press('a', 'am'), 'closed', 'and a closed one is closed');

-- Whose word is enough.
SELECT is(pg_temp.look('b', x.who), x.sees, x.who) FROM (VALUES ('am', 'open'), ('deputy', 'open'), ('mm', 'open'), ('sup', 'open'), ('am-2', 'others'), ('insp', 'others')) x (who, sees);
SELECT is((acknowledge_by_link(pg_temp.link('b', 'am-2'), true))::text, '(others,,)', 'of what is not his he is told nothing, and acknowledges nothing');
UPDATE follow_ups SET owner_id = pg_temp.id('am-2') WHERE follow_up_id = pg_temp.id('b');
SELECT is(pg_temp.look('b', 'am') || ' ' || pg_temp.look('b', 'am-2'), 'others open', 'handed over it is the new owner''s');
UPDATE people SET retired_at = now() WHERE person_id = pg_temp.id('am-2');
SELECT is(pg_temp.look('b', 'am-2'), 'others', 'who has left has no say');
SELECT pg_temp.raise('report', 'insp', 'report');
SELECT is(pg_temp.look('report', x.who), x.sees, x.who || ' and a report') FROM (VALUES ('insp', 'open'), ('named', 'open'), ('sup', 'others'), ('mm', 'others')) x (who, sees);
SELECT is((notification_body(gen_random_uuid(), pg_temp.id('branch'), pg_temp.id('report'), 'escalated', 'x', pg_temp.id('insp'))::jsonb #>> '{data,text}'), 'secret words',
          'who may see a report reads it');
SELECT unalike(notification_body(gen_random_uuid(), pg_temp.id('branch'), pg_temp.id('report'), 'escalated', 'x', pg_temp.id('sup')), '%secret%', 'others do not');

SELECT * FROM finish();
ROLLBACK;
