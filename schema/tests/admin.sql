-- What the administrator's tool does to branches, gateways, targets and users. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();
SET LOCAL ROLE ringback_owner;

SELECT lives_ok($$SELECT make_branch('TAP-ADMIN', '分公司', 'Asia/Shanghai', '0416', '3', 'tool:tap')$$, 'a branch is made');
CREATE FUNCTION pg_temp.branch() RETURNS integer LANGUAGE sql AS $$ SELECT branch_id FROM branches WHERE code = 'TAP-ADMIN' $$;
SELECT results_eq($$SELECT name, timezone, area_code, cycle_first_day::integer FROM branches WHERE code = 'TAP-ADMIN'$$,
                  $$VALUES ('分公司', 'Asia/Shanghai', '0416', 3)$$, 'with its settings');
SELECT throws_ok($$SELECT make_branch('TAP-ADMIN', 'x', 'UTC', NULL, NULL, 'x')$$, 'P0001', 'branch "TAP-ADMIN" exists already', 'once');
SELECT throws_ok(format('SELECT make_branch(%L, %L, %L, %L, %L, %L)', code, name, zone, area, day, 'x'), 'P0001', NULL,
                 'refused: ' || concat_ws(' ', code, name, zone, area, day))
FROM (VALUES ('', 'x', 'UTC', NULL, NULL), ('a b', 'x', 'UTC', NULL, NULL), ('tap-1', ' ', 'UTC', NULL, NULL),
    ('tap-2', 'x', 'Mars/Base', NULL, NULL), ('tap-3', 'x', 'UTC', '416', NULL), ('tap-4', 'x', 'UTC', NULL, '8'),
    ('tap-5', E'x\ny', 'UTC', NULL, NULL)) x (code, name, zone, area, day);
SELECT is_empty($$SELECT code FROM branches WHERE code ~ '^tap-'$$, 'and nothing of it is left');

INSERT INTO people (branch_id, code, name, role, retired_at) SELECT pg_temp.branch(), p.code, p.code, p.role, p.gone
    FROM (VALUES ('sup', 'supervisor', NULL), ('am', 'account_manager', NULL), ('old', 'supervisor', now())) p (code, role, gone);
SELECT lives_ok($$SELECT set_branch(pg_temp.branch(), NULL, NULL, '', NULL, 'sup', 'tool:tap')$$, 'settings change');
SELECT results_eq($$SELECT b.name, b.area_code, p.code FROM branches b JOIN people p ON p.person_id = b.duty_supervisor_id
    WHERE b.branch_id = pg_temp.branch()$$, $$VALUES ('分公司', NULL, 'sup')$$, 'null keeps, empty clears');
SELECT throws_ok(format('SELECT set_branch(pg_temp.branch(), NULL, NULL, NULL, NULL, %L, ''x'')', who), 'P0001', NULL,
                 who || ' is no duty supervisor') FROM unnest('{am,old,nobody}'::text[]) who;

SELECT lives_ok($$SELECT add_gateway(pg_temp.branch(), 'tap-admin', '\x01', 'tool:tap')$$, 'a gateway is added');
SELECT throws_ok($$SELECT add_gateway(pg_temp.branch(), 'tap-admin', '\x02', 'tool:tap')$$, 'P0001', NULL, 'once');
SELECT is((SELECT sealed_key FROM gateways WHERE name = 'tap-admin'), '\x01'::bytea, 'and its key stays');
SELECT throws_ok($$SELECT add_gateway(pg_temp.branch(), 'a:b', '\x02', 'tool:tap')$$, 'P0001', NULL, 'a name with a colon is refused');
SELECT lives_ok($$SELECT retire_gateway(pg_temp.branch(), 'tap-admin', 'tool:tap')$$, 'it is retired');
SELECT throws_ok($$SELECT retire_gateway(pg_temp.branch(), 'tap-admin', 'tool:tap')$$, 'P0001', NULL, 'once');
SELECT throws_like($$SELECT add_gateway(pg_temp.branch(), 'tap-admin', '\x02', 'tool:tap')$$, '%(retired)%', 'its name stays taken');

-- A notification that waits for somebody's target goes there as soon as there is one.
INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at)
    SELECT pg_temp.branch(), 1000000005, 'complaint', 'x', gateway_id, now() FROM gateways WHERE name = 'tap-admin';
INSERT INTO follow_ups (branch_id, complaint, owner_id, policy_id, raised_at, due_at)
    SELECT pg_temp.branch(), 1000000005, person_id, policy_id, now(), now() + interval '1 day'
    FROM people JOIN policies USING (branch_id) WHERE branch_id = pg_temp.branch() AND code = 'am';
SELECT make_notifications(ARRAY[branch_id], ARRAY[follow_up_id], '{assigned}', '{assigned}', ARRAY[owner_id])
    FROM follow_ups WHERE branch_id = pg_temp.branch();
SELECT is((SELECT state FROM notifications WHERE branch_id = pg_temp.branch()), 'stranded', 'without a target it is stranded');
SELECT lives_ok($$SELECT add_target(pg_temp.branch(), 'am', 'webhook', 'http://h/1', '\x01', 'tool:tap')$$, 'a target is added');
SELECT results_eq($$SELECT n.state, t.address FROM notifications n JOIN targets t USING (branch_id, target_id)
    WHERE branch_id = pg_temp.branch()$$, $$VALUES ('waiting', 'http://h/1')$$, 'and adopts it');
SELECT throws_ok($$SELECT add_target(pg_temp.branch(), 'am', 'webhook', 'http://h/1', '\x01', 'tool:tap')$$, 'P0001', NULL, 'once');
SELECT throws_ok(format('SELECT add_target(pg_temp.branch(), %L, ''webhook'', ''http://h/2'', ''\x01'', ''x'')', who), 'P0001', NULL,
                 'not for ' || who) FROM unnest('{old,nobody}'::text[]) who;
SELECT lives_ok($$SELECT add_target(pg_temp.branch(), 'am', 'webhook', 'http://h/2', '\x01', 'tool:tap')$$, 'a second one');
SELECT is((SELECT string_agg(address, ' ' ORDER BY position) FROM targets WHERE branch_id = pg_temp.branch()), 'http://h/1 http://h/2',
          'is behind the first');
SELECT lives_ok($$SELECT retire_target(branch_id, target_id::text, 'tool:tap') FROM targets WHERE address = 'http://h/1'$$,
                'a target is retired');
SELECT throws_ok($$SELECT retire_target(branch_id, target_id::text, 'tool:tap') FROM targets WHERE address = 'http://h/1'$$, 'P0001',
                 NULL, 'once');
SELECT lives_ok($$SELECT add_target(pg_temp.branch(), 'am', 'webhook', 'http://h/1', '\x01', 'tool:tap')$$, 'and may come again');

SELECT lives_ok($$SELECT add_account(pg_temp.branch(), 'tap', 'supervisor', 'sup', 'hash', 'tool:tap')$$, 'a user is added');
SELECT throws_ok($$SELECT add_account(pg_temp.branch(), 'tap', 'supervisor', NULL, 'other', 'tool:tap')$$, 'P0001', NULL, 'once');
SELECT throws_ok($$SELECT add_account(pg_temp.branch(), 'tap2', 'king', NULL, 'hash', 'tool:tap')$$, 'P0001', NULL, 'with a role there is');
SELECT throws_ok($$SELECT add_account(pg_temp.branch(), 'tap2', 'operator', 'old', 'hash', 'tool:tap')$$, 'P0001', NULL, 'of somebody active');
SELECT change_account(pg_temp.branch(), 'tap', NULL, true, 'tool:tap');
SELECT ok(disabled_at IS NOT NULL AND password_hash = 'hash', 'is disabled') FROM accounts WHERE name = 'tap';
SELECT change_account(pg_temp.branch(), 'tap', 'new', false, 'tool:tap');
SELECT ok(disabled_at IS NULL AND password_hash = 'new', 'and let in again with a new password') FROM accounts WHERE name = 'tap';
INSERT INTO retailers (branch_id, code, name, manager_id) SELECT branch_id, 'r', 'r', person_id FROM people
    WHERE branch_id = pg_temp.branch() AND code = 'am';
INSERT INTO products (branch_id, code, name, price_fen) VALUES (pg_temp.branch(), 'p', 'p', 1);
SELECT throws_ok($$SELECT retire_person(pg_temp.branch(), 'am', 'tool:tap')$$, 'P0001', NULL, 'nobody leaves who has retailers');
SELECT retire_retailer(pg_temp.branch(), 'r', 'tool:tap');
SELECT retire_product(pg_temp.branch(), 'p', 'tool:tap');
SELECT retire_person(pg_temp.branch(), c, 'tool:tap') FROM unnest('{am,sup}'::text[]) c;
SELECT ok(bool_and(t.retired_at IS NOT NULL), 'person, retailer and product are retired') FROM (
    SELECT retired_at FROM people WHERE branch_id = pg_temp.branch() UNION ALL
    SELECT retired_at FROM retailers WHERE branch_id = pg_temp.branch() UNION ALL
    SELECT retired_at FROM products WHERE branch_id = pg_temp.branch()) t;
SELECT ok(new_values ? 'retired_at', 'which the retailer''s history knows') FROM retailer_changes WHERE branch_id = pg_temp.branch();
SELECT ok(disabled_at IS NOT NULL, 'and a retired person logs in no more') FROM accounts WHERE name = 'tap';
SELECT throws_ok(format('SELECT retire_%s(pg_temp.branch(), %L, ''x'')', kind, code), 'P0001', NULL, kind || ' once')
    FROM (VALUES ('person', 'sup'), ('retailer', 'r'), ('product', 'p')) x (kind, code);
SELECT is((SELECT string_agg(action, ' ' ORDER BY audit_id) FROM audit_log WHERE branch_id = pg_temp.branch()),
    'branch-set branch-set gateway-add gateway-retire target-add target-add target-retire target-add user-add user-disable user-password '
    'retailer-retire product-retire person-retire person-retire',
    'all of which the audit log knows');
SELECT ok(bool_and(details::text !~ 'hash|new|\\x0'), 'without a secret') FROM audit_log WHERE branch_id = pg_temp.branch();
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
