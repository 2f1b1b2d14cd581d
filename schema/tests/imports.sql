-- The functions behind ringback import, over rows as the tool copies them in. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, pg_temp, public;
SELECT * FROM no_plan();
SET LOCAL client_min_messages = warning;

SET LOCAL ROLE ringback_owner;
CREATE TEMP TABLE ids (id integer);
INSERT INTO ids VALUES (add_branch('TAP-IMPORT', 'x')), (add_branch('TAP-OTHER', 'x'));
CREATE FUNCTION pg_temp.branch() RETURNS integer LANGUAGE sql AS $$ SELECT min(id) FROM ids $$;
-- What an import says it did: "added/changed/removed/unchanged".
CREATE FUNCTION pg_temp.done(p_kind text, VARIADIC p_columns text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v text;
BEGIN
    EXECUTE format('SELECT concat_ws(''/'', added, changed, removed, unchanged) FROM import_%s($1, $2, ''tool:tap'', ''f.csv'')', p_kind)
        INTO v USING pg_temp.branch(), p_columns;
    DROP TABLE IF EXISTS changing, wanted, standing;
    TRUNCATE incoming;
    RETURN v;
END $$;
CREATE FUNCTION pg_temp.faults(p_kind text, VARIADIC p_columns text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT concat_ws('' '', line, field, reason) FROM import_%s_faults($1, $2)
                                 ORDER BY line, field, reason', p_kind) USING pg_temp.branch(), p_columns;
    TRUNCATE incoming;
END $$;

-- People.
\i schema/queries/import-people-table.sql
;
INSERT INTO incoming VALUES (2, 'am', 'A', 'account_manager', '{+8615400000001,+8615400000002}', 'north', 'mm', 'am2'),
    (3, 'am2', 'B', 'account_manager', NULL, NULL, 'mm', NULL), (4, 'mm', 'C', 'market_manager', NULL, 'north', NULL, NULL);
SELECT is_empty($$SELECT * FROM import_people_faults(pg_temp.branch(), '{code,name,role,phones,area,reports_to,deputy}')$$,
                'rows may refer forward');
SELECT is(pg_temp.done('people', 'code', 'name', 'role', 'phones', 'area', 'reports_to', 'deputy'), '3/0/0/0', 'three people are added');
SELECT results_eq($$SELECT p.code, b.code, d.code, a.code, ARRAY(SELECT phone FROM person_phones h WHERE h.person_id = p.person_id ORDER BY position)
    FROM people p LEFT JOIN people b ON b.person_id = p.reports_to_id LEFT JOIN people d ON d.person_id = p.deputy_id
    LEFT JOIN areas a ON a.area_id = p.area_id WHERE p.branch_id = pg_temp.branch() ORDER BY 1$$,
    $$VALUES ('am', 'mm', 'am2', 'north', '{+8615400000001,+8615400000002}'::text[]), ('am2', 'mm', NULL, NULL, '{}'),
             ('mm', NULL, NULL, 'north', '{}')$$, 'with their line of command, area and phones');
INSERT INTO incoming VALUES (2, 'am', 'A', 'account_manager', NULL, NULL, NULL, NULL),
    (3, 'mm', 'C2', 'market_manager', NULL, NULL, NULL, NULL);
SELECT is(pg_temp.done('people', 'code', 'name', 'role'), '0/1/0/1', 'only what differs is changed');
SELECT is((SELECT count(*) FROM person_phones WHERE branch_id = pg_temp.branch()), 2::bigint, 'an absent column keeps');
INSERT INTO incoming VALUES (2, 'am', 'A', 'account_manager', '{+8615400000002}', NULL, NULL, NULL);
SELECT is(pg_temp.done('people', 'code', 'name', 'role', 'phones', 'reports_to'), '0/1/0/0', 'an empty cell clears');
SELECT is((SELECT concat_ws(' ', p.reports_to_id, d.code, h.phone) FROM people p JOIN person_phones h USING (branch_id, person_id)
           JOIN people d ON d.person_id = p.deputy_id WHERE p.branch_id = pg_temp.branch() AND p.code = 'am'),
          'am2 +8615400000002', 'and phones become what the row says');
UPDATE people SET retired_at = now() WHERE branch_id = pg_temp.branch() AND code = 'am2';
INSERT INTO incoming VALUES (2, 'x', 'X', 'operator', NULL, NULL, 'am2', 'x'),
    (3, 'x', 'X', 'operator', NULL, NULL, 'nobody', NULL), (4, 'c1', 'X', 'operator', NULL, NULL, 'c2', NULL),
    (5, 'c2', 'X', 'operator', NULL, NULL, 'mm', NULL), (6, 'mm', 'X', 'market_manager', NULL, NULL, 'c1', NULL);
SELECT results_eq($$SELECT pg_temp.faults('people', 'code', 'name', 'role', 'reports_to', 'deputy')$$, ARRAY[
    '2 deputy names the person himself', '2 reports_to "am2" is retired', '3 code "x" is in line 2 already',
    '3 reports_to there is no person "nobody"', '4 reports_to goes round in a circle: c1, c2, mm, c1',
    '5 reports_to goes round in a circle: c2, mm, c1, c2', '6 reports_to goes round in a circle: mm, c1, c2, mm'],
    'every fault of people is told by its line');
INSERT INTO incoming VALUES (2, 'am2', 'B', 'account_manager', NULL, NULL, NULL, NULL);
SELECT is(pg_temp.done('people', 'code', 'name', 'role'), '0/1/0/0', 'who is in the file again works here again');
DROP TABLE incoming;

-- Products.
\i schema/queries/import-products-table.sql
;
INSERT INTO incoming VALUES (2, 'p1', 'P', 100, 3, true, NULL, '{p2,p3}'), (3, 'p2', 'Q', 200, NULL, false, true, NULL),
    (4, 'p3', 'R', 300, NULL, NULL, NULL, NULL);
SELECT is(pg_temp.done('products', 'code', 'name', 'price_fen', 'price_class', 'scarce', 'controlled', 'substitutes'), '3/0/0/0',
          'three products are added');
INSERT INTO incoming VALUES (2, 'p1', 'P', 100, NULL, NULL, NULL, '{p3,p2}'), (3, 'p2', 'Q', 201, NULL, NULL, NULL, NULL);
SELECT is(pg_temp.done('products', 'code', 'name', 'price_fen', 'substitutes'), '0/2/0/0', 'a price and an order of substitutes change');
SELECT is((SELECT string_agg(o.code, ' ' ORDER BY s.position) FROM product_substitutes s JOIN products p USING (branch_id, product_id)
           JOIN products o ON o.product_id = s.substitute_id WHERE p.branch_id = pg_temp.branch()), 'p3 p2', 'in the row''s order');
SELECT results_eq($$SELECT code, price_class::integer, scarce, controlled FROM products WHERE branch_id = pg_temp.branch() ORDER BY 1$$,
                  $$VALUES ('p1', 3, true, false), ('p2', NULL, false, true), ('p3', NULL, false, false)$$, 'the rest stays');
INSERT INTO incoming VALUES (2, 'p1', 'P', 1, NULL, NULL, NULL, '{p1,p9,p2,p2}'), (3, 'p1', 'P', 1, NULL, NULL, NULL, NULL);
SELECT results_eq($$SELECT pg_temp.faults('products', 'code', 'name', 'price_fen', 'substitutes')$$, ARRAY[
    '2 substitutes names "p2" twice', '2 substitutes names the product itself', '2 substitutes there is no product "p9"',
    '3 code "p1" is in line 2 already'], 'every fault of products is told by its line');
DROP TABLE incoming;

-- Retailers and their history.
\i schema/queries/import-retailers-table.sql
;
INSERT INTO incoming (line, code, name, phones, manager, area, route, tier) VALUES
    (2, 'r1', 'S', '{+8615400000011,+864165550001}', 'am', 'north', 'n1', 4), (3, 'r2', 'T', '{+8615400000011}', 'am2', NULL, NULL, NULL);
SELECT is(pg_temp.done('retailers', 'code', 'name', 'phones', 'manager', 'area', 'route', 'tier'), '2/0/0/0', 'two retailers are added');
CREATE TEMP TABLE before AS SELECT to_jsonb(r) AS r FROM retailers r WHERE branch_id = pg_temp.branch();
INSERT INTO incoming (line, code, name, phones, manager, area, route, tier) VALUES
    (2, 'r1', 'S', '{+8615400000011,+864165550001}', 'am', 'north', 'n1', 4), (3, 'r2', 'T', '{+8615400000011}', 'am2', NULL, NULL, NULL);
SELECT is(pg_temp.done('retailers', 'code', 'name', 'phones', 'manager', 'area', 'route', 'tier'), '0/0/0/2', 'the same again is nothing');
SELECT set_eq('SELECT r FROM before', 'SELECT to_jsonb(r) FROM retailers r WHERE branch_id = pg_temp.branch()', 'not a row is touched');
SELECT is((SELECT count(*) FROM retailer_changes WHERE branch_id = pg_temp.branch()), 0::bigint, 'and no history is written');
UPDATE retailers SET retired_at = '2026-01-01 00:00:00+00' WHERE branch_id = pg_temp.branch() AND code = 'r2';
INSERT INTO incoming (line, code, name, phones, manager, area, tier) VALUES
    (2, 'r1', 'S', '{+864165550001,+8615400000011}', 'am2', 'south', NULL), (3, 'r2', 'T', '{+8615400000011}', 'am2', NULL, NULL);
SELECT is(pg_temp.done('retailers', 'code', 'name', 'phones', 'manager', 'area', 'tier'), '0/2/0/0', 'two change');
SELECT results_eq($$SELECT r.code, c.changed_by, c.old_values - 'retired_at', c.new_values - 'retired_at', c.new_values ? 'retired_at'
    FROM retailer_changes c JOIN retailers r USING (branch_id, retailer_id) WHERE branch_id = pg_temp.branch() ORDER BY 1$$, $$VALUES
    ('r1', 'tool:tap', '{"area": "north", "tier": 4, "manager": "am", "phones": ["+8615400000011", "+864165550001"]}'::jsonb,
     '{"area": "south", "tier": null, "manager": "am2", "phones": ["+864165550001", "+8615400000011"]}'::jsonb, false),
    ('r2', 'tool:tap', '{}', '{}', true)$$, 'the history has what changed, with codes');
SELECT is((SELECT string_agg(phone, ' ' ORDER BY position) FROM retailer_phones h JOIN retailers r USING (branch_id, retailer_id)
           WHERE r.branch_id = pg_temp.branch() AND r.code = 'r1'), '+864165550001 +8615400000011', 'phones are the row''s');
SELECT is((SELECT o.code FROM retailers r JOIN routes o USING (branch_id, route_id) WHERE r.branch_id = pg_temp.branch() AND r.code = 'r1'),
          'n1', 'an absent route stays');
SELECT is((SELECT count(*) FROM retailers WHERE branch_id = pg_temp.branch() AND retired_at IS NOT NULL), 0::bigint, 'nobody is retired now');
INSERT INTO incoming (line, code, name, phones, manager) VALUES (2, 'r9', 'x', '{12313}', 'mm'), (3, 'r9', 'x', '{12313}', 'nobody');
SELECT results_eq($$SELECT pg_temp.faults('retailers', 'code', 'name', 'phones', 'manager')$$, ARRAY[
    '2 manager "mm" is no account_manager but market_manager', '3 code "r9" is in line 2 already',
    '3 manager there is no person "nobody"'], 'every fault of retailers is told by its line');
DROP TABLE incoming;
\i schema/queries/import-people-table.sql
;
INSERT INTO incoming VALUES (2, 'am2', 'B', 'market_manager', NULL, NULL, NULL, NULL);
SELECT results_eq($$SELECT pg_temp.faults('people', 'code', 'name', 'role')$$,
    ARRAY['2 role am2 is the account manager of 2 retailers: give them to another one first'], 'no retailer loses its manager');
DROP TABLE incoming;

-- Caps.
\i schema/queries/import-caps-table.sql
;
INSERT INTO incoming VALUES (2, 'p1', 10, NULL, NULL, NULL, NULL, NULL, NULL), (3, 'p1', 5, 4, NULL, NULL, NULL, NULL, NULL),
    (4, 'p1', 6, 3, NULL, NULL, NULL, NULL, NULL), (5, 'p1', 3, 4, 'city', NULL, NULL, NULL, NULL),
    (6, 'p1', 2, NULL, 'village', 'x', NULL, NULL, NULL), (7, 'p1', 1, NULL, NULL, NULL, NULL, NULL, 'r1'),
    (8, 'p2', 1, NULL, NULL, NULL, 'north', 'key', NULL);
SELECT is_empty($$SELECT * FROM import_caps_faults(pg_temp.branch(), '{}')$$, 'rules that never meet as equals are fine');
SELECT is(pg_temp.done('caps', 'product'), '7/0/0/0', 'seven caps are added');
CREATE TEMP TABLE caps_before AS SELECT to_jsonb(c) AS c FROM caps c WHERE branch_id = pg_temp.branch();
INSERT INTO incoming VALUES (2, 'p1', 10, NULL, NULL, NULL, NULL, NULL, NULL), (3, 'p1', 5, 4, NULL, NULL, NULL, NULL, NULL),
    (4, 'p1', 6, 3, NULL, NULL, NULL, NULL, NULL), (5, 'p1', 3, 4, 'city', NULL, NULL, NULL, NULL),
    (6, 'p1', 2, NULL, 'village', 'x', NULL, NULL, NULL), (7, 'p1', 1, NULL, NULL, NULL, NULL, NULL, 'r1'),
    (8, 'p2', 1, NULL, NULL, NULL, 'north', 'key', NULL);
SELECT is(pg_temp.done('caps', 'product'), '0/0/0/7', 'the same again is nothing');
SELECT set_eq('SELECT c FROM caps_before', 'SELECT to_jsonb(c) FROM caps c WHERE branch_id = pg_temp.branch()', 'not even other numbers');
INSERT INTO incoming VALUES (2, 'p1', 11, NULL, NULL, NULL, NULL, NULL, NULL), (3, 'p1', 5, 4, NULL, NULL, NULL, NULL, NULL),
    (4, 'p3', 1, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT is(pg_temp.done('caps', 'product'), '1/1/5/1', 'the file replaces all caps');
INSERT INTO incoming VALUES (2, 'p1', 1, 4, NULL, NULL, NULL, NULL, NULL), (3, 'p1', 2, 4, NULL, NULL, NULL, NULL, NULL),
    (4, 'p1', 1, NULL, 'city', NULL, NULL, NULL, NULL), (5, 'p1', 1, 3, NULL, NULL, NULL, NULL, NULL),
    (6, 'p2', 1, 4, 'city', NULL, NULL, NULL, NULL), (7, 'p2', 1, NULL, NULL, NULL, 'north', 'key', NULL),
    (8, 'p2', 1, 3, NULL, NULL, NULL, 'key', NULL), (9, 'p3', 1, NULL, NULL, NULL, NULL, NULL, 'r1'),
    (10, 'p3', 1, 4, NULL, NULL, NULL, NULL, 'r1'), (11, 'p3', 1, NULL, NULL, NULL, NULL, NULL, 'r2'),
    (12, 'p9', 1, NULL, NULL, NULL, NULL, NULL, NULL), (13, 'p3', 1, NULL, NULL, NULL, 'moon', NULL, 'r9');
SELECT results_eq($$SELECT pg_temp.faults('caps', 'product')$$, ARRAY[
    '3 - the same conditions for "p1" are in line 2 already', '4 - as specific as line 2 for "p1", and both can hold for one retailer',
    '5 - as specific as line 4 for "p1", and both can hold for one retailer',
    '7 - as specific as line 6 for "p2", and both can hold for one retailer',
    '8 - as specific as line 7 for "p2", and both can hold for one retailer',
    '10 - as specific as line 9 for "p3", and both can hold for one retailer',
    '12 product there is no product "p9"', '13 area there is no area "moon"', '13 retailer there is no retailer "r9"'],
    'rules that can meet as equals are told with both lines');
SELECT is(pg_temp.done('caps', 'product'), '0/0/3/0', 'an empty file removes all');

SELECT is((SELECT string_agg(DISTINCT subject, ' ' ORDER BY subject) FROM audit_log WHERE branch_id = pg_temp.branch() AND action = 'import'),
          'caps people products retailers', 'the audit log knows of imports');
SELECT is((SELECT count(*) FROM ids JOIN people ON branch_id = id WHERE id <> pg_temp.branch()), 0::bigint, 'another branch is left alone');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
