-- Categories, root causes and incidents. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-CAUSES', 'x')), ('other', add_branch('TAP-CAUSES-2', 'x'));
INSERT INTO areas (branch_id, code) SELECT pg_temp.id('branch'), c FROM unnest('{north,south}'::text[]) c;
INSERT INTO people (branch_id, code, name, role, area_id)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, a.area_id
    FROM (VALUES ('am', 'account_manager', 'north'), ('am-south', 'account_manager', 'south'), ('sup', 'supervisor', NULL), ('op', 'operator', NULL),
                 ('insp', 'inspector', NULL)) p (code, role, area)
    LEFT JOIN areas a ON a.branch_id = pg_temp.id('branch') AND a.code = p.area;
INSERT INTO accounts (branch_id, name, role, person_id, password_hash)
    SELECT branch_id, code, role, person_id, 'x' FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO accounts (branch_id, name, role, password_hash) VALUES (pg_temp.id('branch'), 'admin', 'administrator', 'x'),
    (pg_temp.id('other'), 'stranger', 'supervisor', 'x');
INSERT INTO sessions (branch_id, account_id, token_hash, ends_at, address)
    SELECT branch_id, account_id, sha256(name::bytea), now() + interval '1 day', '127.0.0.1' FROM accounts;

CREATE FUNCTION pg_temp.ask(p_name text, p_operation text, p jsonb DEFAULT '{}') RETURNS answer LANGUAGE sql AS $$
    SELECT desk(sha256(p_name::bytea), '{operator,account_manager,market_manager,supervisor,deliverer,inspector,administrator}', p_operation, p) $$;
CREATE FUNCTION pg_temp.said(p_name text, p_operation text, p jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT a.status || coalesce(' ' || a.code, '') FROM pg_temp.ask(p_name, p_operation, p) a $$;
CREATE FUNCTION pg_temp.body(p_name text, p_operation text, p jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT a.body::jsonb FROM pg_temp.ask(p_name, p_operation, p) a $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_temp TO PUBLIC;
GRANT ALL ON ids TO PUBLIC;

-- The words.
SET LOCAL ROLE ringback_console;
SELECT is(jsonb_array_length(pg_temp.body('op', 'list_categories') -> 'items'), 17, 'a branch begins with the domain''s categories');
SELECT is(pg_temp.body('am', 'list_categories', '{"query": {"limit": "1"}}') #>> '{items,0,zh}', '错单', 'the first is the wrong order');
SELECT is(pg_temp.body('am', 'list_categories', jsonb_build_object('query', jsonb_build_object('limit', '1', 'cursor',
    pg_temp.body('am', 'list_categories', '{"query": {"limit": "1"}}') ->> 'next'))) #>> '{items,0,code}', 'missed-order', 'the next page goes on');
SELECT is(jsonb_array_length(pg_temp.body('insp', 'list_causes') -> 'items'), 13, 'and with root causes');
SELECT is(pg_temp.said('sup', 'list_causes', '{"query": {"retired": "perhaps"}}'), '400 bad-request', 'a filter that does not exist is refused');
SELECT is((SELECT row(a.status, a.location, a.etag) FROM pg_temp.ask('sup', 'add_category',
    '{"body": {"code": "冷柜", "zh": "冷柜故障", "en": "cooler", "position": 5}}') a)::text, '(201,/api/v1/categories/%E5%86%B7%E6%9F%9C,1)', 'one is added, with a Chinese code too');
SELECT is(pg_temp.body('op', 'list_categories') #>> '{items,0,code}', '冷柜', 'where its position puts it');
SELECT is(pg_temp.said('sup', 'add_category', '{"body": {"code": "冷柜", "zh": "x", "en": "x"}}'), '409 exists', 'not twice');
SELECT is(pg_temp.said('stranger', 'get_category', '{"path": {"code": "冷柜"}}'), '404 not-found', 'another branch has its own');
SELECT is((SELECT string_agg(e ->> 'pointer', ' ' ORDER BY e ->> 'pointer') FROM jsonb_array_elements(pg_temp.body('sup', 'add_cause',
    '{"body": {"code": "", "zh": 3, "kind": "joke", "position": -1, "retired": "no", "colour": "red"}}')) e),
    '/code /colour /en /kind /position /retired /zh', 'every fault is told at once');
SELECT is(pg_temp.said('sup', 'add_cause', '{"body": ["code"]}'), '422 invalid-data', 'a body that is no object is none');
SELECT is(pg_temp.said('sup', 'change_cause', '{"path": {"code": "stock"}, "body": {"zh": "缺货"}}'), '428 precondition-required', 'no change blindly');
SELECT is(pg_temp.said('sup', 'change_cause', '{"path": {"code": "stock"}, "if_match": "\"7\"", "body": {"zh": "缺货"}}'), '412 changed-meanwhile', 'nor of an older version');
SELECT is((SELECT row(a.status, a.etag, a.body::jsonb ->> 'zh', a.body::jsonb ->> 'en') FROM pg_temp.ask('sup', 'change_cause',
    '{"path": {"code": "stock"}, "if_match": "\"1\"", "body": {"zh": "缺货"}}') a)::text, '(200,2,缺货,"out of stock")', 'what is named changes, the rest stays');
SELECT is(pg_temp.said('sup', 'change_cause', '{"path": {"code": "stock"}, "if_match": "\"2\"", "body": {"code": "x"}}'), '422 invalid-data', 'a code stays');
SELECT isnt(pg_temp.body('sup', 'change_cause', '{"path": {"code": "stock"}, "if_match": "\"2\"", "body": {"retired": true}}') ->> 'retired_at', NULL, 'it is retired');
SELECT isnt(pg_temp.body('sup', 'change_cause', '{"path": {"code": "stock"}, "if_match": "\"3\"", "body": {"position": 1}}') ->> 'retired_at', NULL, 'and stays so');
SELECT is(jsonb_array_length(pg_temp.body('op', 'list_causes') -> 'items'), 12, 'hence offered no more');
SELECT is(pg_temp.body('op', 'list_causes', '{"query": {"retired": "true"}}') #>> '{items,0,code}', 'stock', 'but known');
RESET ROLE;
SELECT throws_ok(format('SELECT check_cause(%s, %L)', pg_temp.id('branch'), x), 'RB422', NULL, 'nobody resolves with the cause ' || x)
    FROM unnest('{stock,rubbish}'::text[]) x;
SELECT lives_ok(format('SELECT check_cause(%s, %L), check_cause(%1$s, NULL)', pg_temp.id('branch'), 'operator'), 'but with one of the list, or none');
SELECT is((SELECT array_agg(action || ' ' || subject ORDER BY audit_id) FROM audit_log WHERE branch_id = pg_temp.id('branch')),
    '{"categories-add 冷柜","causes-change stock","causes-change stock","causes-change stock"}', 'the audit log knows who did what');

-- History stays.
SELECT is_empty($$
    SELECT t, e FROM unnest('{categories,causes,incidents,incident_history}'::text[]) t CROSS JOIN (VALUES ('delete', 8), ('truncate', 32)) e (e, bit)
    WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t::regclass AND g.tgenabled = 'O' AND g.tgtype & e.bit <> 0
        AND g.tgfoid = 'refuse_removal'::regproc)
    $$, 'no word and no incident is removed');
SELECT ok(EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = 'incident_history'::regclass AND g.tgtype & 16 <> 0 AND g.tgfoid = 'refuse_change'::regproc),
          'what happened to an incident is not rewritten');

SELECT * FROM finish();
ROLLBACK;
