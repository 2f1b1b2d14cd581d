-- The write function of intake, event by event and in batches: replays, conflicts, refusals, caps, calls, and that whatever it is
-- given nothing is left without what it refers to. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id integer);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id FROM ids WHERE name = p_name $$;
SET LOCAL ROLE ringback_owner; -- who has made everything when it is real
INSERT INTO ids VALUES ('branch', add_branch('TAP-EVENTS', 'x'));
INSERT INTO areas (branch_id, code) VALUES (pg_temp.id('branch'), 'north');
INSERT INTO people (branch_id, code, name, role) SELECT pg_temp.id('branch'), p.code, p.code, p.role
    FROM (VALUES ('am', 'account_manager'), ('am2', 'account_manager'), ('sup', 'supervisor'), ('op', 'operator')) p (code, role);
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-events', '\x00');
INSERT INTO ids SELECT 'gateway', gateway_id FROM gateways WHERE name = 'tap-events';
INSERT INTO retailers (branch_id, code, name, manager_id, tier, market_type, area_id, class, retired_at)
    SELECT pg_temp.id('branch'), r.code, r.code, pg_temp.id(r.manager), r.tier, r.market, area_id, r.class, r.retired
    FROM (VALUES ('r1', 'am', 1, 'city', 'key', NULL), ('r2', 'am', 4, 'city', 'ordinary', NULL),
                 ('r3', 'am2', NULL, NULL, NULL, NULL), ('gone', 'am', 1, NULL, NULL, now()))
        r (code, manager, tier, market, class, retired) CROSS JOIN areas WHERE branch_id = pg_temp.id('branch');
INSERT INTO ids SELECT code, retailer_id FROM retailers WHERE branch_id = pg_temp.id('branch');
INSERT INTO retailer_phones (branch_id, retailer_id, phone) SELECT pg_temp.id('branch'), pg_temp.id(h.code), h.phone
    FROM (VALUES ('r1', '+8615400000001'), ('r1', '+8615400000009'), ('r2', '+8615400000009'), ('r2', '+8615400000008'),
                 ('r3', '+8615400000008')) h (code, phone);
INSERT INTO products (branch_id, code, name, price_fen, scarce, retired_at)
    SELECT pg_temp.id('branch'), p.code, p.code, 100, p.scarce, p.retired
    FROM (VALUES ('free', false, NULL), ('capped', false, NULL), ('scarce', true, NULL), ('rare', true, NULL), ('old', false, now()))
        p (code, scarce, retired);
INSERT INTO caps (branch_id, product_id, cartons, tier, market_type, retailer_id)
    SELECT pg_temp.id('branch'), p.product_id, c.cartons, c.tier, c.market, pg_temp.id(c.retailer)
    FROM (VALUES ('capped', 10, NULL, NULL, NULL), ('capped', 5, 4, NULL, NULL), ('capped', 3, 4, 'city', NULL),
                 ('capped', 7, NULL, NULL, 'r2'), ('scarce', 2, 1, NULL, NULL)) c (product, cartons, tier, market, retailer)
    JOIN products p ON p.branch_id = pg_temp.id('branch') AND p.code = c.product;
RESET ROLE;

-- Events as JSON: {id, source?, branch?, gateway?} and either {retailer|phone, lines: [[product, cartons], …]}, {text, …} or
-- {call, state, …}. Gives the outcomes in the order sent.
CREATE FUNCTION pg_temp.take(VARIADIC p_events jsonb[])
RETURNS TABLE (outcome text, answer jsonb, code text, errors jsonb) LANGUAGE plpgsql AS $$
DECLARE
    q record;
    o record;
    l record;
    c record;
    k record;
BEGIN
    SELECT array_agg(coalesce((v->>'branch')::integer, pg_temp.id('branch')) ORDER BY n) AS branch,
           array_agg(coalesce((v->>'gateway')::integer, pg_temp.id('gateway')) ORDER BY n) AS gateway,
           array_agg(coalesce(v->>'source', '/tap') ORDER BY n) AS source, array_agg(v->>'id' ORDER BY n) AS id,
           array_agg(decode(md5((v - 'id')::text), 'hex') ORDER BY n) AS hash,
           array_agg(CASE WHEN v ? 'lines' THEN 'o' WHEN v ? 'text' THEN 'c' ELSE 'k' END ORDER BY n) AS type,
           array_agg((v->>'time')::timestamptz ORDER BY n) AS time,
           array_agg('{"outcome":"accepted","event":' || (v->'id')::text ORDER BY n) AS head,
           array_agg(v::text ORDER BY n) AS data
        INTO q FROM unnest(p_events) WITH ORDINALITY e (v, n);
    SELECT coalesce(array_agg(n::integer ORDER BY n), '{}') AS event, array_agg(v->>'retailer' ORDER BY n) AS retailer,
           array_agg(v->>'phone' ORDER BY n) AS phone, array_agg(v->>'call' ORDER BY n) AS call,
           array_agg(v->>'operator' ORDER BY n) AS operator, array_agg(v->>'note' ORDER BY n) AS note
        INTO o FROM unnest(p_events) WITH ORDINALITY e (v, n) WHERE v ? 'lines';
    SELECT coalesce(array_agg(e.place ORDER BY e.place, x.line), '{}') AS o,
           coalesce(array_agg(x.line::integer ORDER BY e.place, x.line), '{}') AS line,
           coalesce(array_agg(x.v->>0 ORDER BY e.place, x.line), '{}') AS product,
           coalesce(array_agg((x.v->>1)::integer ORDER BY e.place, x.line), '{}') AS cartons
        INTO l FROM (SELECT v, row_number() OVER (ORDER BY n)::integer AS place
                     FROM unnest(p_events) WITH ORDINALITY e (v, n) WHERE v ? 'lines') e
        CROSS JOIN jsonb_array_elements(e.v->'lines') WITH ORDINALITY x (v, line);
    SELECT coalesce(array_agg(n::integer ORDER BY n), '{}') AS event, array_agg(v->>'retailer' ORDER BY n) AS retailer,
           array_agg(v->>'phone' ORDER BY n) AS phone, array_agg(v->>'call' ORDER BY n) AS call,
           array_agg(v->>'operator' ORDER BY n) AS operator, array_agg(v->>'text' ORDER BY n) AS text,
           array_agg(coalesce(v->>'kind', 'complaint') ORDER BY n) AS kind, array_agg(v->>'category' ORDER BY n) AS category,
           array_agg((v->>'severity')::integer ORDER BY n) AS severity, array_agg(v->>'order' ORDER BY n) AS reference
        INTO c FROM unnest(p_events) WITH ORDINALITY e (v, n) WHERE v ? 'text';
    SELECT coalesce(array_agg(n::integer ORDER BY n), '{}') AS event, array_agg(v->>'call' ORDER BY n) AS call,
           array_agg((v->>'state')::integer ORDER BY n) AS state, array_agg('inbound'::text ORDER BY n) AS direction,
           array_agg(v->>'from' ORDER BY n) AS caller, array_agg('12313'::text ORDER BY n) AS callee,
           array_agg((v->>'seconds')::integer ORDER BY n) AS seconds, array_agg(NULL::text) AS nothing
        INTO k FROM unnest(p_events) WITH ORDINALITY e (v, n) WHERE v ? 'state';
    RETURN QUERY SELECT t.outcome, t.answer::jsonb, t.code, t.errors::jsonb
        FROM take_events(q.branch, q.gateway, q.source, q.id, q.hash, q.type, q.time, q.head, q.data,
            o.event, o.retailer, o.phone, o.call, o.operator, o.note, l.o, l.line, l.product, l.cartons,
            c.event, c.retailer, c.phone, c.phone, c.call, c.operator, c.text, c.kind, c.category, c.severity, c.reference,
            k.event, k.call, k.state, k.direction, k.caller, k.callee, k.caller, k.callee, k.seconds, k.nothing, k.nothing) t
        ORDER BY t.event;
END $$;
CREATE FUNCTION pg_temp.ordered(p_id text, p_retailer text, VARIADIC p_lines jsonb[]) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', p_id, 'retailer', p_retailer, 'lines', to_jsonb(p_lines)) $$;
-- What was granted of each line of one order: "granted/reason/cap/used".
CREATE FUNCTION pg_temp.granted(p_answer jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws('/', l->>'granted', coalesce(l->>'reason', '-'), coalesce(l->>'cap', '-'), l->>'used'), ' ' ORDER BY n)
    FROM jsonb_array_elements(p_answer #> '{order,lines}') WITH ORDINALITY x (l, n) $$;
-- Rows that refer to something that is not there, where no foreign key says so.
CREATE FUNCTION pg_temp.orphans() RETURNS TABLE (what text, n bigint) LANGUAGE sql AS $$
    SELECT * FROM (
        SELECT 'events without a source', count(*) FROM events e
            WHERE NOT EXISTS (SELECT FROM sources s WHERE (s.branch_id, s.source_id) = (e.branch_id, e.source_id))
        UNION ALL SELECT 'bodies without an event', count(*) FROM event_bodies b WHERE NOT EXISTS (SELECT FROM events e
            WHERE (e.branch_id, e.source_id, e.event_id) = (b.branch_id, b.source_id, b.event_id))
        UNION ALL SELECT 'orders without a retailer', count(*) FROM orders o
            WHERE NOT EXISTS (SELECT FROM retailers r WHERE (r.branch_id, r.retailer_id) = (o.branch_id, o.retailer_id))
        UNION ALL SELECT 'orders without a cycle', count(*) FROM orders o
            WHERE NOT EXISTS (SELECT FROM order_cycles c WHERE (c.branch_id, c.cycle_id) = (o.branch_id, o.cycle_id))
        UNION ALL SELECT 'orders without a gateway', count(*) FROM orders o
            WHERE NOT EXISTS (SELECT FROM gateways g WHERE (g.branch_id, g.gateway_id) = (o.branch_id, o.gateway_id))
        UNION ALL SELECT 'orders without their operator', count(*) FROM orders o WHERE operator_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM people p WHERE (p.branch_id, p.person_id) = (o.branch_id, o.operator_id))
        UNION ALL SELECT 'orders without a line', count(*) FROM orders o
            WHERE NOT EXISTS (SELECT FROM order_lines l WHERE (l.branch_id, l.reference) = (o.branch_id, o.reference))
        UNION ALL SELECT 'lines without an order', count(*) FROM order_lines l
            WHERE NOT EXISTS (SELECT FROM orders o WHERE (l.branch_id, l.reference) = (o.branch_id, o.reference))
        UNION ALL SELECT 'lines without a product', count(*) FROM order_lines l
            WHERE NOT EXISTS (SELECT FROM products p WHERE (p.branch_id, p.product_id) = (l.branch_id, l.product_id))
        UNION ALL SELECT 'counters without what they count', count(*) FROM cycle_uses u
            WHERE NOT EXISTS (SELECT FROM retailers r WHERE (r.branch_id, r.retailer_id) = (u.branch_id, u.retailer_id))
               OR NOT EXISTS (SELECT FROM products p WHERE (p.branch_id, p.product_id) = (u.branch_id, u.product_id))
               OR NOT EXISTS (SELECT FROM order_cycles c WHERE (c.branch_id, c.cycle_id) = (u.branch_id, u.cycle_id))
        UNION ALL SELECT 'calls without a gateway', count(*) FROM calls k
            WHERE NOT EXISTS (SELECT FROM gateways g WHERE (g.branch_id, g.gateway_id) = (k.branch_id, k.gateway_id))
        UNION ALL SELECT 'calls without their retailer', count(*) FROM calls k WHERE retailer_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM retailers r WHERE (r.branch_id, r.retailer_id) = (k.branch_id, k.retailer_id))
        UNION ALL SELECT 'complaints without a gateway', count(*) FROM complaints c
            WHERE NOT EXISTS (SELECT FROM gateways g WHERE (g.branch_id, g.gateway_id) = (c.branch_id, c.gateway_id))
        UNION ALL SELECT 'complaints without a follow-up', count(*) FROM complaints c
            WHERE NOT EXISTS (SELECT FROM follow_ups f WHERE (f.branch_id, f.complaint) = (c.branch_id, c.reference))
        UNION ALL SELECT 'follow-ups without a notification', count(*) FROM follow_ups f
            WHERE NOT EXISTS (SELECT FROM notifications n WHERE (n.branch_id, n.follow_up_id) = (f.branch_id, f.follow_up_id))
    ) x (what, n) WHERE n > 0 $$;
CREATE FUNCTION pg_temp.stored() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT count(*) FROM events), (SELECT count(*) FROM event_bodies), (SELECT count(*) FROM orders),
        (SELECT count(*) FROM order_lines), (SELECT count(*) FROM complaints), (SELECT count(*) FROM follow_ups),
        (SELECT count(*) FROM notifications), (SELECT count(*) FROM calls), (SELECT sum(granted_cartons) FROM cycle_uses)) $$;
CREATE TEMP TABLE got (name text, outcome text, answer jsonb, code text, errors jsonb);
GRANT ALL ON got TO PUBLIC;

SET LOCAL ROLE ringback_app; -- with the rights that the daemon has

-- Once, and again.
INSERT INTO got SELECT 'first', * FROM pg_temp.take(pg_temp.ordered('e1', 'r1', '["free", 3]', '["capped", 4]'));
SELECT is((SELECT outcome || ' ' || pg_temp.granted(answer) FROM got WHERE name = 'first'), 'accepted 3/-/-/0 4/-/10/0',
          'an order is granted as asked where nothing limits it');
SELECT results_eq($$SELECT outcome, answer FROM pg_temp.take(pg_temp.ordered('e1', 'r1', '["free", 3]', '["capped", 4]'))$$,
                  $$SELECT 'replayed', answer FROM got WHERE name = 'first'$$, 'the same again gives the first answer');
SELECT is((SELECT outcome FROM pg_temp.take(pg_temp.ordered('e1', 'r1', '["free", 4]'))), 'conflict',
          'the same key with another content is a conflict');
SELECT is((SELECT actor || ' ' || action || ' ' || subject FROM audit_log WHERE branch_id = pg_temp.id('branch')),
          'gateway:tap-events event-conflict /tap e1', 'which the audit log knows of');
SELECT is((SELECT outcome FROM pg_temp.take(pg_temp.ordered('e1', 'r1', '["free", 4]') || '{"source": "/other"}')), 'accepted',
          'of another source it is another event');

-- Caps.
SELECT is((SELECT pg_temp.granted(answer) FROM pg_temp.take(pg_temp.ordered('e2', 'r1', '["capped", 9]', '["free", 1]'))),
          '6/over-cap/10/4 1/-/-/7', 'what is over the cap is granted up to what is left');
SELECT is((SELECT pg_temp.granted(answer) FROM pg_temp.take(pg_temp.ordered('e3', 'r1', '["capped", 1]'))), '0/over-cap/10/10',
          'even nothing, which is no fault');
SELECT is((SELECT pg_temp.granted(answer) FROM pg_temp.take(pg_temp.ordered('e4', 'r1', '["scarce", 3]', '["rare", 2]'))),
          '2/over-cap/2/0 0/not-allocated/-/0', 'a scarce product is given as allocated only');
SELECT is((SELECT pg_temp.granted(answer) FROM pg_temp.take(pg_temp.ordered('e5', 'r2', '["capped", 20]', '["scarce", 1]'))),
          '7/over-cap/7/0 0/not-allocated/-/0', 'the retailer''s own cap comes before the most conditions');
RESET ROLE;
SELECT ok(reference_is_valid(answer #>> '{order,reference}'), 'its reference checks') FROM got WHERE name = 'first';
DELETE FROM caps WHERE retailer_id IS NOT NULL;
SET LOCAL ROLE ringback_app;
SELECT is((SELECT pg_temp.granted(answer) FROM pg_temp.take(pg_temp.ordered('e6', 'r2', '["capped", 1]'))), '0/over-cap/3/7',
          'then the most conditions; what was granted under another cap counts');
SELECT is((SELECT pg_temp.granted(answer) FROM pg_temp.take(pg_temp.ordered('e7', 'r3', '["capped", 99]'))), '10/over-cap/10/0',
          'whoever fits no condition has the general one');

-- A batch: who is first is served first, and one bad item harms nobody.
SELECT results_eq($$SELECT outcome, coalesce(pg_temp.granted(answer), code), errors->0->>'pointer' FROM pg_temp.take(
        pg_temp.ordered('b1', 'r1', '["scarce", 1]'), pg_temp.ordered('b2', 'nobody', '["free", 1]'),
        pg_temp.ordered('b3', 'r2', '["free", 5]', '["nothing", 1]', '["old", 1]'), pg_temp.ordered('b4', 'r2', '["free", 5]'),
        pg_temp.ordered('b5', 'r2', '["free", 5]'), pg_temp.ordered('e1', 'r1', '["free", 3]', '["capped", 4]'),
        pg_temp.ordered('b6', 'gone', '["free", 1]'))$$,
    $$VALUES ('accepted', '0/over-cap/2/2', NULL), ('refused', 'unknown-retailer', '/retailer'),
             ('refused', 'unknown-product', '/lines/1/product'), ('accepted', '5/-/-/0', NULL), ('accepted', '5/-/-/5', NULL),
             ('replayed', '3/-/-/0 4/-/10/0', NULL), ('refused', 'unknown-retailer', '/retailer')$$,
    'a batch gives each its own outcome, in order');
SELECT is((SELECT jsonb_agg(e->>'pointer') FROM pg_temp.take(pg_temp.ordered('b3', 'r2', '["free", 5]', '["nothing", 1]', '["old", 1]')),
                  jsonb_array_elements(errors) e), '["/lines/1/product", "/lines/2/product"]', 'all unknown products are named');
SELECT is((SELECT outcome FROM pg_temp.take(pg_temp.ordered('b2', 'r1', '["free", 1]'))), 'accepted',
          'what was refused may come again, corrected');

-- Callers.
SELECT is((SELECT code FROM pg_temp.take('{"id": "p1", "phone": "+8615400000009", "lines": [["free", 1]]}')), 'ambiguous-retailer',
          'an order from a shared number is refused');
SELECT is((SELECT code FROM pg_temp.take('{"id": "p2", "phone": "+8615499999999", "lines": [["free", 1]]}')), 'unknown-retailer',
          'and one from an unknown number');
SELECT is((SELECT answer #>> '{order,warnings,0,code}' FROM pg_temp.take(
    '{"id": "p3", "phone": "+8615400000001", "operator": "nobody", "lines": [["free", 1]]}')), 'unknown-operator',
    'an unknown operator is a warning');

-- Complaints are taken whoever calls.
SELECT is((SELECT array_agg(answer #>> '{complaint,manager}') FROM pg_temp.take(
    '{"id": "c1", "retailer": "r1", "text": "x"}', '{"id": "c2", "retailer": "nobody", "text": "x"}',
    '{"id": "c3", "phone": "+8615400000009", "text": "x"}', '{"id": "c4", "phone": "+8615400000008", "text": "x"}',
    '{"id": "c5", "text": "x"}')), '{am,sup,am,sup,sup}',
    'by the retailer''s manager, the one that several have in common, else the supervisor');
SELECT is((SELECT count(*) FROM follow_up_steps s JOIN follow_ups USING (branch_id, follow_up_id)
           WHERE branch_id = pg_temp.id('branch')), 30::bigint, 'each with its ladder, and a step for silence');
SELECT is((SELECT string_agg(DISTINCT n.state, ' ') FROM notifications n WHERE branch_id = pg_temp.id('branch')), 'stranded',
          'and a notification, which waits when nobody has a target');
SELECT is((SELECT code FROM pg_temp.take('{"id": "c6", "retailer": "r1", "text": "x", "order": "1234567890"}')), 'bad-reference',
          'a reference that names no order is refused');

-- Calls: one row, whatever the order.
SELECT results_eq($$SELECT answer->'call'->>'state', answer->'call'->>'seconds', answer->'call'->>'retailer' FROM pg_temp.take(
        '{"id": "k1", "call": "a", "state": 3, "from": "+8615400000001", "seconds": 12}',
        '{"id": "k2", "call": "a", "state": 1, "from": "+8615400000001"}',
        '{"id": "k3", "call": "b", "state": 2, "from": "+8615400000009"}')$$,
    $$VALUES ('ended', '12', 'r1'), ('ended', '12', 'r1'), ('answered', NULL, NULL)$$, 'a call''s state never goes back');
SELECT is((SELECT count(*) FROM calls WHERE branch_id = pg_temp.id('branch')), 2::bigint, 'two calls, two rows');

-- Poison: the batch fails as a whole and leaves nothing, so that it can be taken apart.
RESET ROLE;
CREATE TEMP TABLE before AS SELECT pg_temp.stored() AS stored;
GRANT ALL ON before TO PUBLIC;
CREATE FUNCTION pg_temp.poison() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF NEW.note = 'poison' THEN RAISE EXCEPTION 'poisoned'; END IF; RETURN NEW; END $$;
CREATE TRIGGER poison BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION pg_temp.poison();
SET LOCAL ROLE ringback_app;
SELECT throws_ok($$SELECT pg_temp.take(pg_temp.ordered('x1', 'r1', '["free", 1]'),
        pg_temp.ordered('x2', 'r1', '["free", 1]') || '{"note": "poison"}', '{"id": "x3", "retailer": "r1", "text": "x"}')$$,
    'P0001', NULL, 'a poisonous event fails its batch');
SELECT is((SELECT pg_temp.stored()), (SELECT stored FROM before), 'of which nothing is left');
SELECT is((SELECT outcome FROM pg_temp.take(pg_temp.ordered('x1', 'r1', '["free", 1]'))), 'accepted', 'its neighbour is taken alone');

-- What the daemon cannot do even if it tried.
SELECT throws_ok($$SELECT pg_temp.take(pg_temp.ordered('z1', 'r1', '["free", 1]') || '{"branch": 999999}')$$, '23503', NULL,
                 'no event for a branch that is not there');
SELECT throws_ok(format('SELECT pg_temp.take(%L::jsonb)', e || '{"gateway": 999999}'), '23503', NULL,
                 'no event of a gateway that is not there')
FROM (VALUES (pg_temp.ordered('z2', 'r1', '["free", 1]')), ('{"id": "z3", "text": "x"}'),
             ('{"id": "z4", "call": "c", "state": 1, "from": "1"}')) x (e);
RESET ROLE;
SELECT is_empty('SELECT * FROM pg_temp.orphans()', 'and nothing is left without what it refers to');

SELECT * FROM finish();
ROLLBACK;
