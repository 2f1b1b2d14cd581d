-- Figures against cases known by heart, and every figure against the list it leads to, for everybody who may ask. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-FIGURES', 'x')), ('other', add_branch('TAP-FIGURES-2', 'x'));
INSERT INTO areas (branch_id, code) SELECT pg_temp.id('branch'), c FROM unnest('{north,south}'::text[]) c;
INSERT INTO routes (branch_id, code) SELECT pg_temp.id('branch'), c FROM unnest('{r1,r2}'::text[]) c;
INSERT INTO people (branch_id, code, name, role, area_id, sees_reports)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, a.area_id, p.code = 'sup-named'
    FROM (VALUES ('am', 'account_manager', 'north'), ('am-south', 'account_manager', 'south'), ('mm', 'market_manager', 'north'),
                 ('sup', 'supervisor', NULL), ('sup-named', 'supervisor', NULL), ('insp', 'inspector', NULL)) p (code, role, area)
    LEFT JOIN areas a ON a.branch_id = pg_temp.id('branch') AND a.code = p.area;
INSERT INTO accounts (branch_id, name, role, person_id, password_hash)
    SELECT branch_id, code, role, person_id, 'x' FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO accounts (branch_id, name, role, password_hash) VALUES (pg_temp.id('other'), 'stranger', 'supervisor', 'x');
INSERT INTO sessions (branch_id, account_id, token_hash, ends_at, address)
    SELECT branch_id, account_id, sha256(name::bytea), now() + interval '1 day', '127.0.0.1' FROM accounts;
INSERT INTO retailers (branch_id, code, name, manager_id, area_id, route_id, class)
    SELECT p.branch_id, s.code, s.code, p.person_id, p.area_id, r.route_id, s.class
    FROM (VALUES ('shop-1', 'am', 'r1', 'key'), ('shop-2', 'am', 'r2', 'ordinary'), ('shop-3', 'am-south', 'r2', NULL)) s (code, manager, route, class)
    JOIN people p ON p.branch_id = pg_temp.id('branch') AND p.code = s.manager
    JOIN routes r ON r.branch_id = p.branch_id AND r.code = s.route;
INSERT INTO products (branch_id, code, name, price_fen) SELECT pg_temp.id('branch'), c, c, 100 FROM unnest('{p1,p2}'::text[]) c;
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-figures', '\x00');
INSERT INTO order_cycles (branch_id, starts_on, ends_on) VALUES (pg_temp.id('branch'), '2026-03-02', '2026-03-08');

-- Hours after it was raised on the day at 10:00: acknowledged, tried, contacted. Orders: o1 by op7 with p1, o2 by op8 with p1 and p2.
CREATE TEMP TABLE cases (n integer, day date, shop text, owner text, kind text, category text, ack numeric, try numeric, contact numeric,
                         proof text, satisfied boolean, reopened integer, cause text, valid boolean, action text, placed text, merged integer);
INSERT INTO cases VALUES
    (1, '2026-03-02', 'shop-1', 'am', 'complaint', 'wrong-order', 1, 2, 3, 'proved', true, 0, 'operator', true, '=cmd|calc', 'o1', NULL),
    (2, '2026-03-02', 'shop-1', 'am', 'complaint', 'wrong-order', 2, NULL, 5, 'proved', true, 1, 'operator', true, '复核', 'o1', NULL),
    (3, '2026-03-03', 'shop-2', 'am', 'complaint', 'late-delivery', 3, 4, 30, 'recorded', false, 0, 'delivery', false, NULL, 'o2', NULL),
    (4, '2026-03-09', 'shop-2', 'am', 'opinion', '自编', NULL, 6, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL),
    (5, '2026-03-10', 'shop-3', 'am-south', 'complaint', 'wrong-order', 1, 1, 24, 'recorded', NULL, 0, 'operator', true, '复核', 'o2', NULL),
    (6, '2026-03-10', 'shop-3', 'am-south', 'complaint', 'wrong-order', NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, 'o1', 5),
    (7, '2026-03-11', NULL, NULL, 'complaint', NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL),
    (8, '2026-03-11', 'shop-1', 'am', 'report', 'offence', 1, 1, 2, 'proved', NULL, 0, 'other', true, NULL, NULL, NULL),
    (10, '2026-04-20', 'shop-1', 'am', 'request', NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL),
    (9, '2026-02-27', 'shop-1', 'am', 'complaint', 'wrong-order', 1, 1, 2, 'proved', NULL, 0, 'operator', true, NULL, NULL, NULL);
CREATE TEMP TABLE numbered AS
    SELECT c.*, reference_of(nextval(b.reference_sequence)) AS reference, (c.day + time '10:00') AT TIME ZONE 'Asia/Shanghai' AS raised_at,
           nextval(pg_get_serial_sequence('ringback.follow_ups', 'follow_up_id')) AS follow_up_id
    FROM cases c JOIN branches b ON b.branch_id = pg_temp.id('branch');
INSERT INTO orders (branch_id, reference, retailer_id, cycle_id, gateway_id, operator_code, placed_at)
    SELECT g.branch_id, 1000000000 + x.n, 1, 1, g.gateway_id, x.op, '2026-03-01' FROM gateways g, (VALUES (1, 'op7'), (2, 'op8')) x (n, op)
    WHERE g.branch_id = pg_temp.id('branch');
INSERT INTO order_lines (branch_id, reference, line, product_id, asked_cartons, granted_cartons, price_fen, used_cartons)
    SELECT p.branch_id, 1000000000 + x.n, x.line, p.product_id, 1, 1, 100, 0 FROM (VALUES (1, 1, 'p1'), (2, 1, 'p1'), (2, 2, 'p2')) x (n, line, product)
    JOIN products p ON p.branch_id = pg_temp.id('branch') AND p.code = x.product;
INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at, retailer_id, category, order_reference)
    SELECT g.branch_id, c.reference, c.kind, 'x', g.gateway_id, c.raised_at, r.retailer_id, c.category, 1000000000 + nullif(substr(c.placed, 2), '')::bigint
    FROM numbered c JOIN gateways g ON g.branch_id = pg_temp.id('branch') LEFT JOIN retailers r ON r.branch_id = g.branch_id AND r.code = c.shop;
INSERT INTO follow_ups (branch_id, follow_up_id, complaint, kind, category, owner_id, area_id, policy_id, raised_at, due_at, retailer_id, acknowledged_at,
                        first_try_at, contacted_at, proof, satisfied, reopened, root_cause, valid, corrective_action, merged_into, state, closed_at, created_at)
    OVERRIDING SYSTEM VALUE
    SELECT p.branch_id, c.follow_up_id, c.reference, c.kind, c.category, o.person_id, r.area_id, p.policy_id, c.raised_at, c.raised_at + interval '24 hours',
           r.retailer_id, c.raised_at + c.ack * interval '1 hour', c.raised_at + c.try * interval '1 hour', c.raised_at + c.contact * interval '1 hour',
           c.proof, c.satisfied, c.reopened, c.cause, c.valid, c.action, m.follow_up_id,
           CASE WHEN c.merged IS NOT NULL OR c.n = 10 THEN 'closed' WHEN c.contact IS NOT NULL THEN 'contacted' WHEN c.ack IS NOT NULL THEN 'acknowledged' ELSE 'open' END,
           CASE WHEN c.merged IS NOT NULL OR c.n = 10 THEN now() END, c.raised_at + CASE c.n WHEN 3 THEN interval '20 hours' ELSE '0' END
    FROM numbered c JOIN policies p ON p.branch_id = pg_temp.id('branch')
    LEFT JOIN retailers r ON r.branch_id = p.branch_id AND r.code = c.shop
    LEFT JOIN people o ON o.branch_id = p.branch_id AND o.code = c.owner
    LEFT JOIN numbered m ON m.n = c.merged ORDER BY c.merged NULLS FIRST, c.n;
-- The third was made only after its step was past: it is not late for that.
INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, due_at, fired_at, skipped)
    SELECT pg_temp.id('branch'), n.follow_up_id, 'reminder-50', 'reminded', 'owner', n.raised_at + interval '12 hours',
           n.raised_at + interval '12 hours' + x.late * interval '1 millisecond', x.skipped
    FROM (VALUES (1, 10, NULL), (2, 20, NULL), (3, 8 * 3600000 + 30, NULL), (4, 5, 'contacted'), (8, 9999, NULL)) x (n, late, skipped) JOIN numbered n USING (n);
CREATE FUNCTION pg_temp.ask(p_name text, p_operation text, p_query jsonb DEFAULT '{}') RETURNS answer LANGUAGE sql AS $$
    SELECT desk(sha256(p_name::bytea), '{operator,account_manager,market_manager,supervisor,deliverer,inspector,administrator}', p_operation,
                jsonb_build_object('query', p_query)) $$;
CREATE FUNCTION pg_temp.body(p_name text, p_operation text, p_query jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT a.body::jsonb FROM pg_temp.ask(p_name, p_operation, p_query) a $$;
CREATE FUNCTION pg_temp.said(p_name text, p_operation text, p_query jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT a.status || coalesce(' ' || a.code, '') FROM pg_temp.ask(p_name, p_operation, p_query) a $$;
CREATE FUNCTION pg_temp.march(p_name text, p_operation text, p_more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT pg_temp.body(p_name, p_operation, '{"from": "2026-03-01", "to": "2026-03-31"}' || p_more) $$;
CREATE FUNCTION pg_temp.decoded(p_text text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(convert_from(decode(string_agg(CASE WHEN m[1] LIKE '\%__' THEN substr(m[1], 2) ELSE encode(convert_to(m[1], 'UTF8'), 'hex') END, ''),
                                        'hex'), 'UTF8'), '') FROM regexp_matches(p_text, '%[0-9A-F]{2}|.', 'g') m $$;
-- What a link's list holds, followed page by page.
CREATE FUNCTION pg_temp.listed(p_name text, p_link text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_query jsonb := (SELECT jsonb_object_agg(split_part(x, '=', 1), pg_temp.decoded(split_part(x, '=', 2)))
                      FROM regexp_split_to_table(split_part(p_link, '?', 2), '&') x);
    v_operation text := CASE split_part(p_link, '?', 1) WHEN '/api/v1/figures/cases' THEN 'figure_cases' WHEN '/api/v1/figures/steps' THEN 'figure_steps' END;
    v_n bigint := 0;
    v_page jsonb;
BEGIN
    LOOP
        v_page := pg_temp.body(p_name, v_operation, v_query || '{"limit": "2"}');
        v_n := v_n + jsonb_array_length(v_page -> 'items');
        EXIT WHEN v_page ->> 'next' IS NULL;
        v_query := v_query || jsonb_build_object('cursor', v_page ->> 'next');
    END LOOP;
    RETURN v_n;
END $$;
CREATE FUNCTION pg_temp.cells(p_answer jsonb) RETURNS TABLE (grp text, figure text, n bigint, link text) LANGUAGE sql AS $$
    SELECT i ->> 'group', c.key, (c.value ->> 'count')::bigint, c.value ->> 'cases'
    FROM jsonb_array_elements(p_answer -> 'items') i CROSS JOIN jsonb_each(i -> 'figures') c
    UNION ALL
    SELECT 'all', c.key, (c.value ->> 'count')::bigint, c.value ->> 'cases' FROM jsonb_each(p_answer #> '{total,figures}') c
$$;
CREATE FUNCTION pg_temp.counts(p_figures jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(k || ' ' || (p_figures -> k ->> 'count'), ', ' ORDER BY n)
    FROM unnest('{made,kept,late,open,overdue,proved,recorded,merged,visited,satisfied_first}'::text[]) WITH ORDINALITY x (k, n) $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_temp TO PUBLIC;

SET LOCAL ROLE ringback_console;
-- By heart.
SELECT is(pg_temp.counts(pg_temp.march('sup', 'promise_figures') #> '{total,figures}'),
          'made 6, kept 3, late 1, open 0, overdue 2, proved 2, recorded 2, merged 1, visited 3, satisfied_first 1', 'a supervisor: without the report');
SELECT is(pg_temp.counts(pg_temp.march('sup-named', 'promise_figures') #> '{total,figures}'),
          'made 7, kept 4, late 1, open 0, overdue 2, proved 3, recorded 2, merged 1, visited 3, satisfied_first 1', 'one who is named for reports: with it');
SELECT is(pg_temp.counts(pg_temp.march('mm', 'promise_figures') #> '{total,figures}'),
          'made 4, kept 2, late 1, open 0, overdue 1, proved 2, recorded 1, merged 0, visited 3, satisfied_first 1', 'a market manager: his area');
SELECT is(pg_temp.counts(pg_temp.march('insp', 'promise_figures') #> '{total,figures}'),
          'made 1, kept 1, late 0, open 0, overdue 0, proved 1, recorded 0, merged 0, visited 0, satisfied_first 0', 'an inspector: reports');
SELECT is(pg_temp.counts(pg_temp.march('stranger', 'promise_figures') #> '{total,figures}'),
          'made 0, kept 0, late 0, open 0, overdue 0, proved 0, recorded 0, merged 0, visited 0, satisfied_first 0', 'another branch: nothing');
SELECT is((SELECT array_agg(f || ' ' || (a #>> ARRAY['total', 'figures', f, 'count'])) FROM unnest('{raised,made,overdue,needless}'::text[]) f,
    pg_temp.body('sup', 'promise_figures', '{"from": "2026-04-01", "to": "2026-04-30"}') a), '{"raised 1","made 0","overdue 0","needless 1"}',
    'what was closed without a call is no broken promise');
SELECT is(pg_temp.march('sup', 'promise_figures') #> '{total,shares}', '{"kept": 0.5000, "proved": 0.5000, "satisfied_first": 0.3333}', 'shares');
SELECT is(pg_temp.march('sup', 'promise_figures') #> '{total,times}',
          '{"acknowledge": {"count": 4, "median_seconds": 3600, "p90_seconds": 10800}, "try": {"count": 5, "median_seconds": 14400, "p90_seconds": 21600},
            "contact": {"count": 4, "median_seconds": 18000, "p90_seconds": 108000}}', 'times: a contact is a try as well');
SELECT is((SELECT string_agg(concat_ws(':', coalesce(i ->> 'group', '-'), i #>> '{figures,made,count}', i ->> 'listed'), ' ')
           FROM jsonb_array_elements(pg_temp.march('sup', 'promise_figures', jsonb_build_object('by', x.by)) -> 'items') i), x.groups, 'by ' || x.by)
FROM (VALUES ('manager', '-:1:true am:4:true am-south:1:true'), ('area', '-:1:true north:4:true south:1:true'),
             ('category', '-:1:true late-delivery:1:true wrong-order:3:true 自编:1:false'), ('week', '2026-W10:3:true 2026-W11:3:true'),
             ('kind', 'complaint:5:true opinion:1:true'), ('class', '-:2:true key:2:true ordinary:2:true'), ('route', '-:1:true r1:2:true r2:3:true')) x (by, groups);
SELECT is((SELECT string_agg(concat_ws(' ', i ->> 'group', i ->> 'count', i ->> 'categories'), '; ' ORDER BY i ->> 'count' DESC, i ->> 'group')
           FROM jsonb_array_elements(pg_temp.body('sup', 'repeat_report', jsonb_build_object('month', '2026-03', 'by', x.by)) -> 'items') i),
          x.rows, 'repeats by ' || x.by)
FROM (VALUES ('retailer', 'shop-1 2 [{"count": 2, "category": "wrong-order"}]; shop-2 2 [{"count": 1, "category": "late-delivery"}, {"count": 1, "category": "自编"}]; '
                          'shop-3 2 [{"count": 2, "category": "wrong-order"}]'),
             ('operator', 'op7 3 [{"count": 3, "category": "wrong-order"}]; op8 2 [{"count": 1, "category": "late-delivery"}, {"count": 1, "category": "wrong-order"}]'),
             ('product', 'p1 5 [{"count": 4, "category": "wrong-order"}, {"count": 1, "category": "late-delivery"}]; '
                         'p2 2 [{"count": 1, "category": "late-delivery"}, {"count": 1, "category": "wrong-order"}]'),
             ('route', 'r2 4 [{"count": 2, "category": "wrong-order"}, {"count": 1, "category": "late-delivery"}, {"count": 1, "category": "自编"}]; '
                       'r1 2 [{"count": 2, "category": "wrong-order"}]')) x (by, rows);
SELECT is((SELECT string_agg(concat_ws(' ', coalesce(i ->> 'category_name', '-'), coalesce(i ->> 'root_cause', '-'), coalesce(i ->> 'valid', '-'),
                                       i ->> 'count', i ->> 'share', i ->> 'before', i ->> 'change'), '; ' ORDER BY n)
           FROM jsonb_array_elements(pg_temp.body('sup', 'cause_report', '{"month": "2026-03"}') -> 'items') WITH ORDINALITY AS e (i, n)),
          '错单 operator true 3 0.5000 1 2; 送货延误 delivery false 1 0.1667 0 1; - - - 1 0.1667 0 1; - - - 1 0.1667 0 1', 'why, beside the month before');
SELECT is(pg_temp.body('sup', 'cause_report', '{"month": "2026-03", "limit": "1"}') #> '{items,0,corrective_actions}',
          '[{"text": "复核", "count": 2}, {"text": "=cmd|calc", "count": 1}]', 'and what was done about it');
SELECT is(pg_temp.march('sup', 'lateness_figures') -> 'items',
          '[{"action": "reminded", "count": 3, "median_milliseconds": 20, "p99_milliseconds": 30, "most_milliseconds": 30, "late": 0,
             "cases": "/api/v1/figures/steps?action=reminded&from=2026-03-01&to=2026-03-31"}]', 'lateness: of steps that notified, from when they could');
SELECT is(pg_temp.march('sup-named', 'lateness_figures') #> '{items,0,most_milliseconds}', '9999', 'steps of reports for who may know');
SELECT is(pg_temp.march('am', 'lateness_figures') -> 'items', '[]', 'and none of it for others');
SELECT is((SELECT string_agg(concat_ws(' ', coalesce(i ->> 'group', '-'), i ->> 'retailers', i #>> '{figures,load,count}', i #>> '{figures,load_waiting,count}',
                                       i #>> '{figures,load_overdue,count}', i #>> '{figures,load_unacknowledged,count}'), '; ' ORDER BY n)
           FROM jsonb_array_elements(pg_temp.body('sup', 'load_figures') -> 'items') WITH ORDINALITY AS e (i, n)),
          '- 0 1 1 1 1; am 2 5 1 1 1; am-south 1 1 0 0 0', 'load');
SELECT is((SELECT string_agg(i ->> 'group', ' ') FROM jsonb_array_elements(pg_temp.body('am-south', 'load_figures') -> 'items') i), 'am-south', 'an account manager sees his');

-- As many cases as it says: every figure, every group, everybody, over several pages.
SELECT is_empty(format($$
    SELECT * FROM (SELECT c.*, pg_temp.listed(%1$L, c.link) AS listed FROM pg_temp.cells(pg_temp.march(%1$L, 'promise_figures', '{"by": "%2$s"}')) c
                   UNION ALL SELECT c.*, pg_temp.listed(%1$L, c.link) FROM pg_temp.cells(pg_temp.body(%1$L, 'load_figures')) c) x
    WHERE listed IS DISTINCT FROM n $$, who, by), format('%s by %s: each figure leads to its cases', who, by))
FROM unnest('{sup,mm,insp}'::text[]) who CROSS JOIN unnest('{manager,area,category,week,kind,class,route}'::text[]) by;
SELECT is_empty($$
    SELECT * FROM (SELECT i, pg_temp.listed('sup', i ->> 'cases') AS listed FROM jsonb_array_elements(
        (pg_temp.body('sup', 'cause_report', '{"month": "2026-03"}') -> 'items') || (pg_temp.march('sup', 'lateness_figures') -> 'items')
        || (SELECT jsonb_agg(i) FROM unnest('{retailer,product,operator,route}'::text[]) b
            CROSS JOIN jsonb_array_elements(pg_temp.body('sup', 'repeat_report', jsonb_build_object('month', '2026-03', 'by', b)) -> 'items') i)) i) x
    WHERE listed IS DISTINCT FROM (i ->> 'count')::bigint $$, 'so does each row of a report');
SELECT is(pg_temp.march('sup', 'promise_figures', '{"limit": "1"}') #>> '{items,0,group}', NULL, 'the first page of groups');
SELECT is(pg_temp.march('sup', 'promise_figures', jsonb_build_object('limit', '1', 'cursor', pg_temp.march('sup', 'promise_figures', '{"limit": "1"}') ->> 'next'))
          #>> '{items,0,group}', 'am', 'and the next');

-- CSV.
SELECT is((SELECT media FROM pg_temp.ask('sup', 'cause_report', '{"month": "2026-03", "format": "csv"}')), 'text/csv; charset=utf-8', 'as CSV');
SELECT is((SELECT split_part(body, E'\r\n', 2) FROM pg_temp.ask('sup', 'cause_report', '{"month": "2026-03", "format": "csv"}')),
          'wrong-order,错单,operator,订货员差错,true,3,0.5000,1,2,复核 (2); =cmd|calc (1),'
          '/api/v1/figures/cases?category=wrong-order&figure=made&from=2026-03-01&root_cause=operator&to=2026-03-31&valid=true', 'a row a line');
SELECT is((SELECT split_part(split_part(body, E'\r\n', 2), ',', 14) FROM pg_temp.ask('sup', 'figure_cases', '{"from": "2026-03-01", "to": "2026-03-31", "format": "csv"}')),
          '''=cmd|calc', 'and nothing that a spreadsheet would compute');
SELECT is(csv_cell(x.value), x.cell, 'a cell of ' || x.value::text) FROM (VALUES ('"a,b"'::jsonb, '"a,b"'), ('"say \"no\""', '"say ""no"""'), ('"a\r\nb"', E'"a\r\nb"'),
    ('"@x"', '''@x'), ('"  =1+1"', '''  =1+1'), ('"-5"', '''-5'), ('-5', '-5'), ('null', ''), ('true', 'true'), ('"\t1"', E'''\t1'),
    ('"＝1+1"', '''＝1+1'), ('"＠x"', '''＠x')) x (value, cell);
RESET ROLE;
UPDATE follow_ups f SET category = NULL WHERE f.follow_up_id = (SELECT min(x.follow_up_id) FROM follow_ups x
    JOIN retailers r USING (branch_id, retailer_id) WHERE r.branch_id = pg_temp.id('branch') AND r.code = 'shop-3' AND x.category = 'wrong-order');
SET LOCAL ROLE ringback_console;
SELECT is((SELECT split_part(l, ',', 4) FROM regexp_split_to_table((SELECT body FROM pg_temp.ask('sup', 'repeat_report',
               '{"month": "2026-03", "by": "retailer", "format": "csv"}')), E'\r\n') l WHERE l LIKE 'shop-3,%'),
          'wrong-order 1; (none) 1', 'repeats name their categories, or that there is none');
SELECT ok((SELECT convert_to(body, 'UTF8') FROM pg_temp.ask('sup', 'load_figures', '{"format": "csv"}'))::text LIKE '\\xefbbbf6d616e61676572%', 'with a byte order mark');

-- What is none is refused.
SELECT is(pg_temp.said('sup', x.operation, x.query::jsonb), '400 bad-request', x.operation || ' ' || x.query) FROM (VALUES
    ('promise_figures', '{"by": "colour"}'), ('promise_figures', '{"from": "2026-02-30"}'), ('promise_figures', '{"from": "yesterday"}'),
    ('promise_figures', '{"from": "2026-03-02", "to": "2026-03-01"}'), ('promise_figures', '{"from": "2024-01-01", "to": "2026-01-01"}'),
    ('promise_figures', '{"manager": "nobody"}'), ('promise_figures', '{"kind": "joke"}'), ('promise_figures', '{"format": "xls"}'),
    ('promise_figures', '{"product": "p9"}'), ('figure_cases', '{"figure": "x"}'), ('figure_cases', '{"figure": "load", "from": "2026-03-01"}'),
    ('figure_cases', '{"valid": "perhaps"}'), ('figure_cases', '{"cursor": "x"}'), ('figure_steps', '{"action": "x"}'), ('cause_report', '{"month": "2026-13"}'),
    ('repeat_report', '{"by": "colour"}'), ('repeat_report', '{"least": "0"}'), ('load_figures', '{"area": "x"}')) x (operation, query);
SELECT is(pg_temp.said('sup', 'figure_cases', jsonb_build_object('category', x)), '200', 'text from outside is text: ' || x)
FROM unnest(ARRAY[''' OR true --', '%s', '$q$', E'\\']) x;
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
