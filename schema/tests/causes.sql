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

-- Incidents: five complaints about late deliveries on one route, one of another route, a report.
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO routes (branch_id, code) SELECT pg_temp.id('branch'), c FROM unnest('{r1,r2}'::text[]) c;
INSERT INTO products (branch_id, code, name, price_fen) VALUES (pg_temp.id('branch'), 'p1', 'p1', 100);
INSERT INTO retailers (branch_id, code, name, manager_id, area_id, route_id)
    SELECT p.branch_id, s.code, s.code, p.person_id, p.area_id, r.route_id
    FROM (VALUES ('s1', 'am', 'r1'), ('s2', 'am', 'r1'), ('s3', 'am-south', 'r1'), ('s4', 'am-south', 'r2')) s (code, manager, route)
    JOIN people p ON p.branch_id = pg_temp.id('branch') AND p.code = s.manager JOIN routes r ON r.branch_id = p.branch_id AND r.code = s.route;
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-causes', '\x00');
INSERT INTO targets (branch_id, person_id, channel, address, sealed_secret) SELECT branch_id, person_id, 'webhook', 'http://' || code, '\x00'
    FROM people WHERE branch_id = pg_temp.id('branch');
CREATE TEMP TABLE raised AS SELECT x.*, nextval(pg_get_serial_sequence('ringback.follow_ups', 'follow_up_id')) AS id, reference_of(nextval(b.reference_sequence)) AS reference
    FROM (VALUES (1, 's1', 'complaint'), (2, 's2', 'complaint'), (3, 's3', 'complaint'), (4, 's1', 'complaint'), (5, 's2', 'opinion'), (6, 's4', 'complaint'),
                 (7, 's1', 'report')) x (n, shop, kind) JOIN branches b ON b.branch_id = pg_temp.id('branch');
GRANT SELECT ON raised TO PUBLIC;
INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at, retailer_id, category)
    SELECT g.branch_id, x.reference, x.kind, 'x', g.gateway_id, now() - interval '1 hour', r.retailer_id, 'late-delivery'
    FROM raised x JOIN gateways g ON g.branch_id = pg_temp.id('branch') JOIN retailers r ON r.branch_id = g.branch_id AND r.code = x.shop;
INSERT INTO follow_ups (branch_id, follow_up_id, complaint, kind, category, owner_id, area_id, policy_id, raised_at, due_at, retailer_id) OVERRIDING SYSTEM VALUE
    SELECT r.branch_id, x.id, x.reference, x.kind, 'late-delivery', r.manager_id, r.area_id, p.policy_id, now() - interval '1 hour',
           now() + make_interval(hours => 23 - x.n), r.retailer_id
    FROM raised x JOIN retailers r ON r.branch_id = pg_temp.id('branch') AND r.code = x.shop JOIN policies p ON p.branch_id = r.branch_id;
CREATE FUNCTION pg_temp.ids(VARIADIC p_n integer[]) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_agg(id ORDER BY n) FROM raised WHERE n = ANY (p_n) $$;
-- incident(): a request's path and body for the incident made last
CREATE FUNCTION pg_temp.incident(p_body jsonb DEFAULT '{}', p_more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('path', jsonb_build_object('id', (SELECT id::text FROM ids WHERE name = 'incident')), 'body', p_body) || p_more $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_temp TO PUBLIC;
CREATE TEMP TABLE before AS SELECT follow_up_id, state, owner_id, due_at, contacted_at FROM follow_ups WHERE branch_id = pg_temp.id('branch');

SET LOCAL ROLE ringback_console;
SELECT is((SELECT string_agg(concat_ws(' ', i ->> 'by', i ->> 'code', i ->> 'category', i ->> 'count'), '; ')
           FROM jsonb_array_elements(pg_temp.body('sup', 'suggest_incidents', '{"query": {"least": "4"}}') -> 'items') i),
          'category late-delivery late-delivery 6; route r1 late-delivery 5; area north late-delivery 4', 'what looks like one thing, reports left out');
-- Without a category: the suggestion's filter means these, and not all of the route.
RESET ROLE;
UPDATE follow_ups SET category = NULL WHERE branch_id = pg_temp.id('branch') AND follow_up_id IN (SELECT id FROM raised WHERE n IN (4, 5));
SET LOCAL ROLE ringback_console;
SELECT is((SELECT string_agg(concat_ws(' ', i ->> 'by', i ->> 'code', i ->> 'count', i -> 'filter'), '; ')
           FROM jsonb_array_elements(pg_temp.body('sup', 'suggest_incidents', '{"query": {"least": "2"}}') -> 'items') i WHERE i -> 'category' = 'null'),
          'route r1 2 {"hours": 24, "route": "r1", "category": ""}', 'what has no category is suggested as such');
INSERT INTO ids SELECT 'unnamed', (pg_temp.body('sup', 'open_incident', '{"body": {"title": "?"}}') ->> 'id')::bigint;
SELECT is(pg_temp.body('sup', 'group_follow_ups', jsonb_build_object('path', jsonb_build_object('id', (SELECT id FROM ids WHERE name = 'unnamed')::text),
              'body', '{"filter": {"hours": 24, "route": "r1", "category": ""}}'::jsonb)) -> 'grouped', '2', 'and grouped so');
SELECT is(pg_temp.said('sup', 'close_incident', jsonb_build_object('path', jsonb_build_object('id', (SELECT id FROM ids WHERE name = 'unnamed')::text))), '200',
          'an incident is closed');
RESET ROLE;
UPDATE follow_ups SET category = 'late-delivery', incident_id = NULL
    WHERE branch_id = pg_temp.id('branch') AND follow_up_id IN (SELECT id FROM raised WHERE n IN (4, 5));
SET LOCAL ROLE ringback_console;
SELECT is(pg_temp.body('sup', 'suggest_incidents', '{"query": {"least": "7"}}') -> 'items', '[]', 'fewer are no suggestion');
SELECT is(pg_temp.said('sup', 'open_incident', '{"body": {"event": "x"}}'), '422 invalid-data', 'an incident has a title');
SELECT is(pg_temp.said('sup', 'open_incident', '{"body": {"title": "x", "route": "r9"}}'), '422 invalid-data', 'and a route that exists');
INSERT INTO ids SELECT 'incident', (pg_temp.body('sup', 'open_incident', '{"body": {"title": "暴雪", "event": "道路封闭", "category": "late-delivery", "route": "r1"}}') ->> 'id')::bigint;
SELECT is(pg_temp.said('sup', 'group_follow_ups', pg_temp.incident(jsonb_build_object('ids', pg_temp.ids(1, 7)))), '422 invalid-data', 'a report is never grouped');
SELECT is(pg_temp.said('sup', 'group_follow_ups', pg_temp.incident('{"ids": [1.5]}')), '422 invalid-data', 'ids are ids');
SELECT is(pg_temp.said('sup', 'group_follow_ups', pg_temp.incident('{"filter": {"hours": 2}}')), '422 invalid-data', 'a filter narrows');
SELECT is(pg_temp.body('sup', 'group_follow_ups', pg_temp.incident(jsonb_build_object('ids', pg_temp.ids(1, 3)))) -> 'grouped', '2', 'two by their ids');
SELECT is(pg_temp.body('sup', 'group_follow_ups', pg_temp.incident(jsonb_build_object('ids', pg_temp.ids(1, 3)))) -> 'grouped', '0', 'again: they are in it already');
SELECT is(pg_temp.body('sup', 'group_follow_ups', pg_temp.incident('{"filter": {"route": "r1", "category": "late-delivery"}}')) -> 'grouped', '3', 'the rest by a filter');
SELECT is(pg_temp.body('am', 'get_incident', pg_temp.incident()) -> 'follow_ups', '4', 'an account manager sees it with his own');
SELECT is(pg_temp.said('insp', 'get_incident', pg_temp.incident()), '404 not-found', 'who has none in it does not');
SELECT is(pg_temp.said('stranger', 'get_incident', pg_temp.incident()), '404 not-found', 'nor another branch');
SELECT is(jsonb_array_length(pg_temp.body('sup', 'suggest_incidents', '{"query": {"least": "2"}}') -> 'items'), 0, 'what is grouped is suggested no more');
SELECT is(pg_temp.said('sup', 'answer_incident', pg_temp.incident('{"answer": "  "}')), '422 invalid-data', 'an answer says something');
SELECT is(pg_temp.body('sup', 'answer_incident', pg_temp.incident('{"answer": "明天补送"}')) ->> 'answered_by', 'sup', 'a supervisor answers once');
SELECT is(pg_temp.said('sup', 'answer_incident', pg_temp.incident('{"answer": "后天补送"}')), '409 already-answered', 'and not twice');
SELECT is(pg_temp.body('am', 'get_follow_up', jsonb_build_object('path', jsonb_build_object('id', pg_temp.ids(2) ->> 0))) #>> '{incident,answer}', '明天补送',
          'whoever calls reads it');
SELECT is(pg_temp.body('sup', 'group_follow_ups', pg_temp.incident(jsonb_build_object('ids', pg_temp.ids(6)))) -> 'grouped', '1', 'one joins later');
SELECT is(pg_temp.said('sup', 'open_incident', '{"body": {"title": "y"}}'), '201', 'another incident');
SELECT is((SELECT string_agg(e ->> 'pointer', ' ') FROM jsonb_array_elements(pg_temp.body('sup', 'group_follow_ups', jsonb_build_object(
    'path', jsonb_build_object('id', (SELECT id + 1 FROM ids WHERE name = 'incident')::text), 'body', jsonb_build_object('ids', pg_temp.ids(5, 6))))) e), '/ids/0 /ids/1',
    'nothing is in two incidents');
SELECT is(pg_temp.said('sup', 'ungroup_follow_up', pg_temp.incident('{}', jsonb_build_object('path', jsonb_build_object('id', (SELECT id FROM ids WHERE name = 'incident')::text,
    'follow_up', pg_temp.ids(5) ->> 0)))), '204', 'one is taken out');
SELECT is(pg_temp.said('sup', 'change_incident', pg_temp.incident('{"title": "z"}')), '428 precondition-required', 'no change blindly');
SELECT is((SELECT b.body::jsonb ->> 'title' || coalesce(b.body::jsonb ->> 'route', '-') FROM pg_temp.ask('sup', 'get_incident', pg_temp.incident()) a
    CROSS JOIN LATERAL pg_temp.ask('sup', 'change_incident', pg_temp.incident('{"title": "大雪", "route": null}', jsonb_build_object('if_match', '"' || a.etag || '"'))) b),
    '大雪-', 'it is said anew');
SELECT is(pg_temp.said('sup', 'close_incident', pg_temp.incident()), '200', 'closed');
SELECT is(pg_temp.said('sup', 'group_follow_ups', pg_temp.incident(jsonb_build_object('ids', pg_temp.ids(5)))), '409 incident-closed', 'nothing more joins it');
SELECT is((SELECT string_agg(i ->> 'kind', ' ') FROM jsonb_array_elements(pg_temp.body('sup', 'incident_history', pg_temp.incident()) -> 'items') i),
          'opened grouped grouped answered told grouped removed changed closed', 'and all of it is on record');
SELECT is(jsonb_path_query_array(pg_temp.body('sup', 'incident_history', pg_temp.incident()), '$.items[*] ? (@.kind == "told").details'),
          '[{"people": ["am", "am-south"]}]', 'who was told, by his code');
SELECT is(jsonb_path_query_array(pg_temp.body('sup', 'incident_history', pg_temp.incident()), '$.items[*] ? (@.kind == "grouped").details.count'),
          '[2, 3, 1]', 'and how many were grouped');
SELECT is(jsonb_array_length(pg_temp.body('sup', 'list_incidents') -> 'items'), 1, 'the list shows the open one');
SELECT is(jsonb_array_length(pg_temp.body('sup', 'list_incidents', '{"query": {"state": "any", "answered": "true"}}') -> 'items'), 1, 'or the answered one');
SELECT is(jsonb_array_length(pg_temp.body('sup', 'incident_cases', pg_temp.incident()) -> 'items'), 5, 'its follow-ups are listed');
RESET ROLE;
SELECT set_eq('SELECT follow_up_id, state, owner_id, due_at, contacted_at FROM follow_ups WHERE branch_id = pg_temp.id(''branch'')', 'SELECT * FROM before',
              'no state, owner or clock was changed: each retailer is still to be called');
SELECT is((SELECT array_agg(p.code || ' ' || n.type || ' ' || n.step || ' ' || x.n ORDER BY p.code) FROM notifications n
           JOIN people p ON p.branch_id = n.branch_id AND p.person_id = n.addressee_id JOIN raised x ON x.id = n.follow_up_id
           WHERE n.branch_id = pg_temp.id('branch')), '{"am reminded incident-answer 5","am-south reminded incident-answer 3"}',
          'each owner was told once, by what is due first');
SELECT is((SELECT count(*) FROM follow_up_history WHERE branch_id = pg_temp.id('branch') AND kind = 'incident-answered' AND details ->> 'answer' = '明天补送'), 6::bigint,
          'the answer stands in every history');

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
