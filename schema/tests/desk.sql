-- The console's way in: sessions, roles, and which rows each asker sees. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-DESK', 'x')), ('other branch', add_branch('TAP-OTHER', 'x'));
INSERT INTO areas (branch_id, code) SELECT pg_temp.id('branch'), c FROM unnest('{north,south}'::text[]) c;
INSERT INTO people (branch_id, code, name, role, area_id, sees_reports)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, a.area_id, p.code = 'sup-named'
    FROM (VALUES ('am', 'account_manager', 'north'), ('am-south', 'account_manager', 'south'), ('mm', 'market_manager', 'north'),
                 ('sup', 'supervisor', NULL), ('sup-named', 'supervisor', NULL), ('op', 'operator', NULL), ('insp', 'inspector', NULL),
                 ('del', 'deliverer', NULL)) p (code, role, area)
    LEFT JOIN areas a ON a.branch_id = pg_temp.id('branch') AND a.code = p.area;
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO accounts (branch_id, name, role, person_id, password_hash)
    SELECT branch_id, code, role, person_id, 'x' FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO accounts (branch_id, name, role, password_hash) VALUES (pg_temp.id('branch'), 'admin', 'administrator', 'x'),
    (pg_temp.id('other branch'), 'stranger', 'supervisor', 'x');
INSERT INTO sessions (branch_id, account_id, token_hash, ends_at, address)
    SELECT branch_id, account_id, sha256(name::bytea), now() + interval '1 day', '127.0.0.1' FROM accounts;
INSERT INTO retailers (branch_id, code, name, manager_id, area_id)
    SELECT p.branch_id, 'r-' || p.code, 'x', p.person_id, p.area_id FROM people p WHERE branch_id = pg_temp.id('branch') AND role = 'account_manager';
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-desk', '\x00');
WITH c AS (
    INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at, retailer_id)
    SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), k.kind, 'x', g.gateway_id, now(), r.retailer_id
    FROM branches b JOIN gateways g USING (branch_id) JOIN retailers r USING (branch_id) CROSS JOIN (VALUES ('complaint'), ('report')) k (kind)
    WHERE branch_id = pg_temp.id('branch') RETURNING *)
INSERT INTO follow_ups (branch_id, complaint, kind, owner_id, policy_id, raised_at, due_at, retailer_id)
    SELECT c.branch_id, c.reference, c.kind, r.manager_id, p.policy_id, now(), now() + interval '1 day', c.retailer_id
    FROM c JOIN policies p USING (branch_id) JOIN retailers r USING (branch_id, retailer_id);

CREATE FUNCTION api_tap_see(p jsonb) RETURNS answer LANGUAGE sql AS $$
    SELECT answer_json(json_build_object(
        'retailers', (SELECT count(*) FROM retailers), 'follow_ups', (SELECT count(*) FROM follow_ups WHERE kind <> 'report'),
        'reports', (SELECT count(*) FROM follow_ups WHERE kind = 'report'), 'complaints', (SELECT count(*) FROM complaints))) $$;
CREATE FUNCTION api_tap_refuse(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse(409, 'tap', 'no', '[{"pointer": "/x", "code": "y", "detail": "z"}]');
END $$;
GRANT EXECUTE ON FUNCTION api_tap_see, api_tap_refuse TO ringback_console;
CREATE FUNCTION pg_temp.ask(p_name text, p_operation text DEFAULT 'tap_see', p_roles text[] DEFAULT
    '{operator,account_manager,market_manager,supervisor,deliverer,inspector,administrator}') RETURNS text LANGUAGE sql AS $$
    SELECT status || ' ' || coalesce(code, body) FROM desk(sha256(p_name::bytea), p_roles, p_operation, '{}') $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_temp TO PUBLIC;

SET LOCAL ROLE ringback_console;
SELECT is((SELECT count(*) FROM retailers), 0::bigint, 'nobody asks: nothing is seen');
SELECT is(pg_temp.ask(x.who), x.sees, x.who || ' sees ' || x.what) FROM (VALUES
    ('am', '200 {"retailers" : 1, "follow_ups" : 1, "reports" : 0, "complaints" : 1}', 'his retailers and their complaints'),
    ('mm', '200 {"retailers" : 1, "follow_ups" : 1, "reports" : 0, "complaints" : 1}', 'his area'),
    ('op', '200 {"retailers" : 2, "follow_ups" : 2, "reports" : 0, "complaints" : 2}', 'the branch but for reports'),
    ('sup', '200 {"retailers" : 2, "follow_ups" : 2, "reports" : 0, "complaints" : 2}', 'the branch but for reports'),
    ('sup-named', '200 {"retailers" : 2, "follow_ups" : 2, "reports" : 2, "complaints" : 4}', 'reports too'),
    ('insp', '200 {"retailers" : 2, "follow_ups" : 0, "reports" : 2, "complaints" : 2}', 'reports alone'),
    ('del', '200 {"retailers" : 0, "follow_ups" : 0, "reports" : 0, "complaints" : 0}', 'nothing'),
    ('stranger', '200 {"retailers" : 0, "follow_ups" : 0, "reports" : 0, "complaints" : 0}', 'nothing of another branch')) x (who, sees, what);
SELECT is(pg_temp.ask('nobody'), '401 unauthorized', 'no session, no answer');
SELECT is(pg_temp.ask('am', 'tap_see', '{supervisor}'), '403 forbidden', 'a route for others');
SELECT is((SELECT row(status, code, detail, body)::text FROM desk(sha256('am'), '{account_manager}', 'tap_refuse', '{}')),
          row(409, 'tap', 'no', '[{"code": "y", "detail": "z", "pointer": "/x"}]')::text, 'a refusal becomes a problem');
SELECT throws_ok('SELECT enter_as(1, 1)', '42501', NULL, 'nobody takes an account without its session');
SELECT throws_ok('SELECT * FROM sessions', '42501', NULL, 'nor reads sessions');
SELECT throws_ok('SELECT * FROM targets', '42501', NULL, 'nor secrets');
RESET ROLE;

UPDATE sessions SET ended_at = now() WHERE token_hash = sha256('am');
UPDATE sessions SET seen_at = now() - interval '4 hours' WHERE token_hash = sha256('op');
UPDATE sessions SET ends_at = now() WHERE token_hash = sha256('insp');
UPDATE accounts SET disabled_at = now() WHERE name = 'mm';
UPDATE people SET retired_at = now() WHERE branch_id = pg_temp.id('branch') AND code = 'del';
SET LOCAL ROLE ringback_console;
SELECT is(pg_temp.ask(x.who), '401 unauthorized', x.why) FROM (VALUES ('am', 'a session that was ended'), ('op', 'one that was idle too long'),
    ('insp', 'one past its absolute end'), ('mm', 'of a disabled account'), ('del', 'of somebody retired')) x (who, why);

SELECT is(asked_cursor(jsonb_build_object('query', jsonb_build_object('cursor', cursor_of(to_jsonb(ARRAY['中', 'b'])))), 2), '["中", "b"]'::jsonb,
          'a cursor comes back as it went');
SELECT throws_ok($$SELECT asked_cursor('{"query": {"cursor": "rubbish!"}}', 2)$$, 'RB400', NULL, 'another one is refused');
SELECT throws_ok($$SELECT asked_limit('{"query": {"limit": "0"}}')$$, 'RB400', NULL, 'so is a limit of nothing');
SELECT throws_ok($$SELECT check_match('{}', '1')$$, 'RB428', NULL, 'no change without a version');
SELECT throws_ok($$SELECT check_match('{"if_match": "\"2\""}', '1')$$, 'RB412', NULL, 'nor of another version');
SELECT lives_ok($$SELECT check_match('{"if_match": "\"1\""}', '1')$$, 'but of the one that was read');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
