-- Calls outside working hours or minutes before closing become follow-ups, once, whatever the order of events. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
CREATE TEMP SEQUENCE event;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
GRANT ALL ON ids TO PUBLIC;
SET LOCAL ROLE ringback_owner; -- who owns the sequence that it makes
INSERT INTO ids VALUES ('branch', add_branch('TAP-MISSED', 'x')), ('no calendar', add_branch('TAP-ALWAYS', 'x'));
RESET ROLE;
INSERT INTO people (branch_id, code, name, role) SELECT pg_temp.id('branch'), c, c, r
    FROM (VALUES ('am', 'account_manager'), ('sup', 'supervisor')) p (c, r);
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO person_phones (branch_id, person_id, phone) VALUES (pg_temp.id('branch'), pg_temp.id('am'), '+8615400000001');
INSERT INTO retailers (branch_id, code, name, manager_id) SELECT pg_temp.id('branch'), c, '小店' || c, pg_temp.id('am') FROM unnest('{r1,r2,r3}'::text[]) c;
INSERT INTO retailer_phones (branch_id, retailer_id, phone) SELECT branch_id, retailer_id, p.phone FROM retailers r
    JOIN (VALUES ('r1', '+8615400000011'), ('r2', '+8615400000012'), ('r2', '+8615400000099'), ('r3', '+8615400000099')) p (code, phone) USING (code)
    WHERE branch_id = pg_temp.id('branch');
INSERT INTO products (branch_id, code, name, price_fen) VALUES (pg_temp.id('branch'), 'p1', 'x', 100);
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-missed', '\x00'), (pg_temp.id('no calendar'), 'tap-always', '\x00');
INSERT INTO ids SELECT name, gateway_id FROM gateways WHERE name LIKE 'tap-%';
-- Yesterday work was from 8:00 to 17:30 with lunch from 12:00 to 13:00; so it is every day, whatever day this runs.
SELECT set_calendar(pg_temp.id('branch'), (SELECT jsonb_agg(jsonb_build_object('at', 'line ' || d, 'what', 'weekly', 'day', d::text, 'hours', '08:00-12:00;13:00-17:30'))
    FROM generate_series(1, 7) d), 'tap');
CREATE FUNCTION pg_temp.at(p_time text) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT ((now() AT TIME ZONE 'Asia/Shanghai')::date - 1 + p_time::time) AT TIME ZONE 'Asia/Shanghai' $$;

-- Call events (state 1 ringing, 2 answered, 3 ended), and an order or a complaint in a call.
CREATE FUNCTION pg_temp.call(p_call text, p_state integer, p_time text, p_from text, p_seconds integer DEFAULT NULL,
                             p_direction text DEFAULT 'inbound', p_branch text DEFAULT 'branch') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n text := nextval('pg_temp.event');
BEGIN
    PERFORM FROM take_events(ARRAY[pg_temp.id(p_branch)], ARRAY[pg_temp.id(CASE p_branch WHEN 'branch' THEN 'tap-missed' ELSE 'tap-always' END)],
        '{/tap}', ARRAY[n], ARRAY[decode(md5(n), 'hex')], '{k}', ARRAY[pg_temp.at(p_time)], '{"{\"a\":1"}', '{"{}"}',
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
        '{1}', ARRAY[p_call], ARRAY[p_state], ARRAY[p_direction], ARRAY[coalesce(p_from, 'anonymous')], '{4001}', ARRAY[p_from], '{4001}', ARRAY[p_seconds], '{NULL}', '{NULL}');
END $$;
CREATE FUNCTION pg_temp.order(p_call text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n text := nextval('pg_temp.event');
BEGIN
    PERFORM FROM take_events(ARRAY[pg_temp.id('branch')], ARRAY[pg_temp.id('tap-missed')], '{/tap}', ARRAY[n], ARRAY[decode(md5(n), 'hex')], '{o}',
        ARRAY[NULL::timestamptz], '{"{\"a\":1"}', '{"{}"}',
        '{1}', '{r1}', '{NULL}', ARRAY[p_call], '{NULL}', '{NULL}', '{1}', '{1}', '{p1}', '{2}',
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
END $$;
CREATE FUNCTION pg_temp.complaint(p_call text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n text := nextval('pg_temp.event');
BEGIN
    PERFORM FROM take_events(ARRAY[pg_temp.id('branch')], ARRAY[pg_temp.id('tap-missed')], '{/tap}', ARRAY[n], ARRAY[decode(md5(n), 'hex')], '{c}',
        ARRAY[NULL::timestamptz], '{"{\"a\":1"}', '{"{}"}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
        '{1}', '{r1}', '{NULL}', '{NULL}', ARRAY[p_call], '{NULL}', '{x}', '{complaint}', '{missed-call}', '{NULL}', '{NULL}',
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}');
END $$;
-- The follow-ups made for calls: "owner state text", each with its calls.
CREATE FUNCTION pg_temp.made() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(q.t, '; ' ORDER BY q.follow_up_id) FROM (
        SELECT f.follow_up_id, p.code || ' ' || f.state || ' ' || string_agg(m.call, '+' ORDER BY m.call) AS t
        FROM missed_calls m JOIN follow_ups f USING (branch_id, follow_up_id) LEFT JOIN people p ON p.branch_id = f.branch_id AND p.person_id = f.owner_id
        WHERE f.branch_id = pg_temp.id('branch') AND NOT EXISTS (SELECT FROM ids i WHERE i.name = 'seen ' || f.follow_up_id) GROUP BY f.follow_up_id, p.code, f.state) q $$;
CREATE FUNCTION pg_temp.seen() RETURNS void LANGUAGE sql AS $$
    UPDATE missed_calls SET named_by = coalesce(named_by, 1) WHERE branch_id = pg_temp.id('branch');
    UPDATE follow_ups f SET state = 'closed', closed_at = now() WHERE branch_id = pg_temp.id('branch') AND state <> 'closed'
        AND EXISTS (SELECT FROM missed_calls m WHERE m.branch_id = f.branch_id AND m.follow_up_id = f.follow_up_id);
    INSERT INTO ids SELECT DISTINCT 'seen ' || follow_up_id, follow_up_id FROM missed_calls WHERE branch_id = pg_temp.id('branch') ON CONFLICT DO NOTHING $$;

-- In the night, not answered.
SELECT pg_temp.call('night', 1, '22:03', '+8615400000011'), pg_temp.call('night', 3, '22:04', '+8615400000011', 0);
SELECT is(pg_temp.made(), 'am open night', 'a call in the night is the manager''s to call back');
SELECT results_eq($$SELECT k.kind, k.category, k.caller, k.caller_phone, k.call, k.raised_at, f.kind, f.due_at, k.text
    FROM complaints k JOIN follow_ups f ON f.branch_id = k.branch_id AND f.complaint = k.reference WHERE k.branch_id = pg_temp.id('branch')$$,
    $$SELECT 'request', 'missed-call', '+8615400000011', '+8615400000011', 'night', pg_temp.at('22:03'), 'request', pg_temp.at('22:03') + interval '24 hours',
      format('零售客户小店r1（r1）于%s 22:03来电，时为非工作时间，无人接听，请尽快回电。', to_char(pg_temp.at('22:03') AT TIME ZONE 'Asia/Shanghai', 'YYYY"年"FMMM"月"FMDD"日"'))$$,
    'with who rang when, within a day');
SELECT is((SELECT count(*) FROM notifications n JOIN follow_ups f USING (branch_id, follow_up_id) WHERE f.branch_id = pg_temp.id('branch')), 1::bigint, 'he is told');
SELECT pg_temp.call('night', 1, '22:03', '+8615400000011'), pg_temp.call('night', 3, '22:04', '+8615400000011', 0);
SELECT is(pg_temp.made(), 'am open night', 'once, however often it is reported');
SELECT pg_temp.call('night-' || i, 3, '22:1' || i, '+8615400000011', 0) FROM generate_series(1, 4) i;
SELECT is(pg_temp.made(), 'am open night+night-1+night-2+night-3+night-4', 'five times in a night are one');
SELECT is((SELECT string_agg(h.kind || coalesce(' ' || (h.details ->> 'call'), ''), ', ' ORDER BY h.history_id) FROM follow_up_history h WHERE branch_id = pg_temp.id('branch')),
          'opened, called-again night-1, called-again night-2, called-again night-3, called-again night-4', 'with each call in its history');
SELECT pg_temp.order('night-2');
SELECT is(pg_temp.made(), 'am open night+night-1+night-2+night-3+night-4', 'an order in one of them does not settle the others');
SELECT pg_temp.order(c) FROM unnest('{night,night-1,night-3}'::text[]) c;
SELECT pg_temp.complaint('night-4');
SELECT is(pg_temp.made(), 'am closed night+night-1+night-2+night-3+night-4', 'all of them accounted for: nobody need call back');
SELECT is((SELECT details ->> 'reason' FROM follow_up_history WHERE branch_id = pg_temp.id('branch') AND kind = 'closed'), 'superseded', 'by the system, with the reason');
SELECT is((SELECT string_agg(type, ', ' ORDER BY type) FROM notifications n JOIN missed_calls m USING (branch_id, follow_up_id) WHERE m.call = 'night'), 'assigned, closed', 'and he is told');
SELECT pg_temp.seen();

-- What is no missed call.
SELECT pg_temp.call('day', 3, '10:00', '+8615400000011', 0), pg_temp.call('answered late', 2, '17:29', '+8615400000011'), pg_temp.call('answered late', 3, '17:40', '+8615400000011', 600),
       pg_temp.call('colleague', 3, '23:00', '+8615400000001', 0), pg_temp.call('nobody', 3, '23:00', NULL, 0), pg_temp.call('out', 3, '23:00', '+8615400000011', 0, 'outbound'),
       pg_temp.order('order first'), pg_temp.call('order first', 3, '23:00', '+8615400000011', 60), pg_temp.complaint('complaint first'), pg_temp.call('complaint first', 3, '23:00', '+8615400000011', 60),
       pg_temp.call('elsewhere', 3, '23:00', '+8615400000011', 0, 'inbound', 'no calendar'), pg_temp.call('still rings', 1, '23:00', '+8615400000011');
SELECT is(pg_temp.made(), NULL, 'in hours, answered before closing, a colleague, no number, outbound, with an order or a complaint, without a calendar, not over yet');

-- The edges.
SELECT pg_temp.call('lunch', 3, '12:30', '+8615400000011', 0), pg_temp.call('closing', 3, '17:21', '+8615400000012', 0);
SELECT is(pg_temp.made(), 'am open lunch; am open closing', 'at lunch, and nine minutes before closing');
SELECT matches((SELECT string_agg(text, ' ' ORDER BY reference) FROM complaints k JOIN missed_calls m USING (branch_id, call) WHERE k.category = 'missed-call' AND m.call = 'closing'), '时近下班', 'which the text says');
SELECT pg_temp.seen();
SELECT pg_temp.call('answered', 2, '19:00', '+8615400000011'), pg_temp.call('answered', 3, '19:01', '+8615400000011', 60);
SELECT is(pg_temp.made(), 'am open answered', 'answered after hours and nothing written down: it does not end with "tomorrow"');
SELECT pg_temp.seen();
SELECT pg_temp.call('opening', 1, '07:59', '+8615400000011'), pg_temp.call('opening', 2, '08:00', '+8615400000011'), pg_temp.call('opening', 3, '08:05', '+8615400000011', 300);
SELECT is(pg_temp.made(), NULL, 'rang before work and was answered at it: no');
SELECT pg_temp.call('shared', 3, '20:00', '+8615400000099', 0), pg_temp.call('stranger', 3, '20:01', '+8615477777777', 0), pg_temp.call('stranger again', 3, '20:05', '+8615477777777', 0);
SELECT is(pg_temp.made(), 'am open shared; sup open stranger+stranger again', 'a shared number: their common manager; a stranger: the duty supervisor, once');
SELECT pg_temp.seen();

-- Whoever has begun to work on one decides himself.
SELECT pg_temp.call('touched', 3, '20:00', '+8615400000011', 0);
UPDATE follow_ups f SET state = 'acknowledged', acknowledged_at = now() FROM missed_calls m WHERE m.call = 'touched' AND f.follow_up_id = m.follow_up_id;
SELECT pg_temp.order('touched');
SELECT is(pg_temp.made(), 'am acknowledged touched', 'an order afterwards leaves one that somebody works on');
SELECT is((SELECT h.kind FROM follow_up_history h JOIN missed_calls m USING (branch_id, follow_up_id) WHERE m.call = 'touched' ORDER BY history_id DESC LIMIT 1), 'call-settled', 'but says so');
SELECT pg_temp.seen();

-- A call whose end is never reported.
SELECT is(watch_calls(), 0, 'a call that was first seen just now');
UPDATE calls SET first_seen_at = now() - interval '11 minutes' WHERE call = 'still rings';
SELECT is(watch_calls(), 1, 'is over after ten minutes');
SELECT is(pg_temp.made(), 'am open still rings', 'and called back');
SELECT pg_temp.call('still rings', 3, '23:30', '+8615400000011', 0);
SELECT is(watch_calls(), 0, 'once');
SELECT is(pg_temp.made(), 'am open still rings', 'also when its end is reported after all');
UPDATE missed_calls SET named_by = NULL WHERE call = 'still rings';
INSERT INTO orders (branch_id, reference, retailer_id, cycle_id, gateway_id, call, placed_at)
    SELECT m.branch_id, 1999999993, m.retailer_id, 1, pg_temp.id('tap-missed'), m.call, now() FROM missed_calls m WHERE call = 'still rings';
SELECT is(watch_calls(), 0, 'an order that came at the same moment as the call''s end');
SELECT is(pg_temp.made(), 'am closed still rings', 'is found a little later');

SELECT * FROM finish();
ROLLBACK;
