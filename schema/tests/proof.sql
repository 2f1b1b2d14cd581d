-- Proof by the telephone: which call proves which follow-up, whatever the order of events, and what is kept of those that
-- prove nothing. Undone at the end; now() stands still in it, so times are given.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
GRANT ALL ON ids TO PUBLIC;
SET LOCAL ROLE ringback_owner; -- who owns the sequence that it makes
INSERT INTO ids VALUES ('branch', add_branch('TAP-PROOF', 'x'));
RESET ROLE;
INSERT INTO areas (branch_id, code) SELECT pg_temp.id('branch'), c FROM unnest('{north,south}'::text[]) c;
INSERT INTO people (branch_id, code, name, role, area_id)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, a.area_id
    FROM (VALUES ('am', 'account_manager', 'north'), ('am-2', 'account_manager', 'north'), ('am-3', 'account_manager', 'south'),
                 ('mm', 'market_manager', 'north'), ('mm-south', 'market_manager', 'south'), ('sup', 'supervisor', NULL),
                 ('op', 'operator', NULL), ('gone', 'supervisor', NULL)) p (code, role, area)
    LEFT JOIN areas a ON a.branch_id = pg_temp.id('branch') AND a.code = p.area;
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
UPDATE people SET reports_to_id = pg_temp.id('mm'), deputy_id = pg_temp.id('am-2') WHERE person_id = pg_temp.id('am');
UPDATE people SET retired_at = now() - interval '3 days' WHERE person_id = pg_temp.id('gone');
INSERT INTO person_phones (branch_id, person_id, phone) SELECT pg_temp.id('branch'), pg_temp.id(h.code), h.phone
    FROM (VALUES ('am', '+8615490000001'), ('am-2', '+8615490000002'), ('am-3', '+8615490000003'), ('mm', '+8615490000004'),
                 ('sup', '801'), ('op', '+8615490000006'), ('gone', '+8615490000007'), ('mm-south', '+8615490000008')) h (code, phone);
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-proof', '\x00');
INSERT INTO ids SELECT 'gateway', gateway_id FROM gateways WHERE name = 'tap-proof';

CREATE FUNCTION pg_temp.shop(p_code text, p_phones text[], p_person text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    WITH r AS (
        INSERT INTO retailers (branch_id, code, name, manager_id, area_id, legal_person)
        SELECT branch_id, p_code, p_code, pg_temp.id('am'), area_id, p_person FROM areas
        WHERE branch_id = pg_temp.id('branch') AND code = 'north' RETURNING *
    ), h AS (
        INSERT INTO retailer_phones (branch_id, retailer_id, phone) SELECT branch_id, retailer_id, p FROM r CROSS JOIN unnest(p_phones) p)
    INSERT INTO ids SELECT 'shop ' || p_code, retailer_id FROM r $$;

CREATE SEQUENCE pg_temp.event;
-- One event through the write function, as the daemon sends it; a time of day, the day before yesterday.
CREATE FUNCTION pg_temp.at(p_time text) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT date_trunc('day', now(), 'UTC') - interval '2 days' + p_time::interval $$;
CREATE FUNCTION pg_temp.complain(p_name text, p_retailer text, p_phone text, p_time text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_answer text;
    n text := nextval('pg_temp.event');
BEGIN
    SELECT t.answer INTO STRICT v_answer FROM take_events(ARRAY[pg_temp.id('branch')], ARRAY[pg_temp.id('gateway')], '{/tap}', ARRAY[n],
        ARRAY[decode(md5(n), 'hex')], '{c}', ARRAY[pg_temp.at(p_time)], '{"{\"a\":1"}', '{"{}"}',
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
        '{1}', ARRAY[p_retailer], ARRAY[coalesce(p_phone, 'anonymous')], ARRAY[p_phone], ARRAY[NULL::text], ARRAY[NULL::text],
        '{x}', '{complaint}', ARRAY[NULL::text], ARRAY[NULL::integer], ARRAY[NULL::text],
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}') t WHERE t.outcome = 'accepted';
    INSERT INTO ids VALUES (p_name, (v_answer::jsonb #>> '{complaint,follow_up}')::bigint);
END $$;
CREATE FUNCTION pg_temp.event(p_call text, p_state integer, p_from text, p_to text, p_time text, p_seconds integer DEFAULT NULL,
                              p_cause text DEFAULT NULL, p_direction text DEFAULT 'outbound') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    n text := nextval('pg_temp.event');
BEGIN
    PERFORM take_events(ARRAY[pg_temp.id('branch')], ARRAY[pg_temp.id('gateway')], '{/tap}', ARRAY[n], ARRAY[decode(md5(n), 'hex')],
        '{k}', ARRAY[pg_temp.at(p_time)], '{"{\"a\":1"}', '{"{}"}',
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
        '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
        '{1}', ARRAY[p_call], ARRAY[p_state], ARRAY[p_direction], ARRAY[coalesce(p_from, 'anonymous')], ARRAY[p_to], ARRAY[p_from],
        ARRAY[p_to], ARRAY[p_seconds], ARRAY[p_cause], ARRAY[NULL::text]);
END $$;
-- A whole call, answered at that time; what is shorter than a second nobody answered.
CREATE FUNCTION pg_temp.call(p_call text, p_from text, p_to text, p_time text, p_seconds integer, p_cause text DEFAULT 'normal',
                             p_direction text DEFAULT 'outbound') RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.event(p_call, 1, p_from, p_to, (p_time::interval - interval '5 seconds')::text, NULL, NULL, p_direction);
    SELECT pg_temp.event(p_call, 2, p_from, p_to, p_time, NULL, NULL, p_direction) WHERE p_seconds > 0;
    SELECT pg_temp.event(p_call, 3, p_from, p_to, (p_time::interval + make_interval(secs => p_seconds))::text, p_seconds, p_cause, p_direction) $$;
-- "contacted proved call" and so on.
CREATE FUNCTION pg_temp.look(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', state, proof, proof_call) FROM follow_ups WHERE follow_up_id = pg_temp.id(p_name) $$;
CREATE FUNCTION pg_temp.tries(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(' ', t.outcome, t.call, p.code), ', ' ORDER BY t.at), '')
    FROM follow_up_tries t LEFT JOIN people p USING (branch_id) WHERE t.follow_up_id = pg_temp.id(p_name) AND p.person_id = t.by_person_id $$;

-- The plain case, and all that is written about it.
SELECT pg_temp.shop('r1', '{+8615400000001,+8615400000011}');
SELECT pg_temp.complain('plain', 'r1', NULL, '08:00');
SELECT pg_temp.call('k1', '+8615490000001', '+8615400000001', '09:00', 60);
SELECT is(pg_temp.look('plain'), 'contacted proved k1', 'the owner called back: contacted and proved');
SELECT results_eq($$SELECT contacted_at, first_try_at, contacted_by_id FROM follow_ups WHERE follow_up_id = pg_temp.id('plain')$$,
    $$VALUES (pg_temp.at('09:00'), pg_temp.at('09:00'), pg_temp.id('am'))$$, 'when he was answered, by whom');
SELECT results_eq($$SELECT kind, by_person_id, details - 'at' FROM follow_up_history WHERE follow_up_id = pg_temp.id('plain') ORDER BY history_id$$,
    $$VALUES ('opened', NULL, '{"policy": "default", "version": 1}'::jsonb), ('contacted', pg_temp.id('am'), '{"proof": "proved", "call": "k1", "seconds": 60}')$$, 'with a line in its history');
SELECT is(pg_temp.tries('plain'), '', 'and no failed try');
SELECT pg_temp.event('k1', 3, '+8615490000001', '+8615400000001', '09:01', 60, 'normal');
SELECT is((SELECT count(*) FROM follow_up_history WHERE follow_up_id = pg_temp.id('plain')), 2::bigint, 'the same again changes nothing');

-- Whose call, to whom, when and how long. Each with a shop and a complaint of its own at 8 o'clock.
CREATE FUNCTION pg_temp.judge(n integer, p_from text, p_time text, p_seconds integer, p_direction text, p_to text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.shop('j' || n, ARRAY['+861550000' || lpad(n::text, 4, '0'), '+861551000' || lpad(n::text, 4, '0')]),
            pg_temp.complain('j' || n, 'j' || n, NULL, '08:00'),
            pg_temp.call('j' || n, p_from, coalesce(p_to, '+861551000' || lpad(n::text, 4, '0')), p_time, p_seconds, 'normal', p_direction);
    RETURN (SELECT coalesce(f.proof, f.state) || coalesce(' ' || p.code, '') FROM follow_ups f LEFT JOIN people p ON p.person_id = f.contacted_by_id
            WHERE follow_up_id = pg_temp.id('j' || n)) || coalesce(', ' || nullif(pg_temp.tries('j' || n), ''), '');
END $$;
SELECT is(pg_temp.judge(n, x.from_phone, x.at, x.seconds, x.direction, x.to_phone), x.found, x.what) FROM (VALUES
    (1, '+8615490000002', '09:00', 30, 'outbound', NULL, 'proved am-2', 'his deputy'),
    (2, '+8615490000004', '09:00', 30, 'outbound', NULL, 'proved mm', 'his superior'),
    (3, '801', '09:00', 30, 'outbound', NULL, 'proved sup', 'a supervisor, from the extension on the desk'),
    (4, '+8615490000003', '09:00', 30, 'outbound', NULL, 'open', 'another account manager'),
    (5, '+8615490000006', '09:00', 30, 'outbound', NULL, 'open', 'an operator'),
    (6, '+8615490000007', '09:00', 30, 'outbound', NULL, 'open', 'a supervisor who had left'),
    (7, '+8615490000008', '09:00', 30, 'outbound', NULL, 'open', 'the market manager of another area'),
    (8, NULL, '09:00', 30, 'outbound', NULL, 'open', 'a withheld number'),
    (9, '+8615499999999', '09:00', 30, 'outbound', NULL, 'open', 'a number that nobody has given'),
    (10, '+8615490000001', '09:00', 30, 'outbound', '+8615400000001', 'open', 'the shop next door'),
    (11, '+8615490000001', '09:00', 30, 'inbound', NULL, 'open', 'the retailer called, as a gateway may turn it round'),
    (12, '+8615490000001', '07:59:55', 30, 'outbound', NULL, 'open', 'begun before the complaint, ended after it'),
    (13, '+8615490000001', '07:00', 30, 'outbound', NULL, 'open', 'over before the complaint'),
    (14, '+8615490000001', '08:00', 10, 'outbound', NULL, 'proved am', 'at the same moment, exactly as long as it must be'),
    (15, '+8615490000001', '09:00', 9, 'outbound', NULL, 'open, short j15 am', 'a second too short'),
    (16, '+8615490000001', '32:01', 30, 'outbound', NULL, 'proved am', 'late, but proved')) x (n, from_phone, at, seconds, direction, to_phone, found, what);
SELECT is((SELECT details FROM follow_up_history WHERE follow_up_id = pg_temp.id('j15') AND kind = 'tried')::jsonb - 'at',
          '{"outcome": "short", "call": "j15", "seconds": 9}'::jsonb, 'a try has its line in the history');
SELECT pg_temp.shop('r-in', '{+8615400000002}'), pg_temp.complain('in', 'r-in', NULL, '08:00'),
       pg_temp.call('in', '+8615400000002', '+8615490000001', '09:00', 60, 'normal', 'inbound');
SELECT is(pg_temp.look('in'), 'open', 'a retailer who rings his manager was not called back');
SELECT pg_temp.event('still', 2, '+8615490000001', '+8615400000002', '09:00');
SELECT is(pg_temp.look('in'), 'open', 'a call that goes on proves nothing yet');
SELECT pg_temp.event('still', 3, '+8615490000001', '+8615400000002', '09:01', 60);
SELECT is(pg_temp.look('in'), 'contacted proved still', 'once it has ended it does');
SELECT pg_temp.shop('r-end', '{+8615400000003}'), pg_temp.complain('end', 'r-end', NULL, '08:00'),
       pg_temp.event('end', 3, '+8615490000001', '+8615400000003', '09:00', 30);
SELECT is(pg_temp.look('end'), 'contacted proved end', 'its end alone is enough');
SELECT is((SELECT contacted_at FROM follow_ups WHERE follow_up_id = pg_temp.id('end')), pg_temp.at('08:59:30'), 'counted back from it');
SELECT pg_temp.shop('r-none', '{+8615400000004}'), pg_temp.complain('none', 'r-none', NULL, '08:00');
UPDATE policies SET proof_seconds = 0 WHERE branch_id = pg_temp.id('branch');
SELECT pg_temp.call('none', '+8615490000001', '+8615400000004', '09:00', 0, '486 Busy Here');
SELECT is(pg_temp.look('none') || ', ' || pg_temp.tries('none'), 'open, busy none am', 'nobody answered: no policy makes a proof of that');
UPDATE policies SET proof_seconds = 10 WHERE branch_id = pg_temp.id('branch');

-- One shop, several follow-ups; several shops, one number.
SELECT pg_temp.shop('r-two', '{+8615400000021}');
SELECT pg_temp.complain('first', 'r-two', NULL, '08:00'), pg_temp.complain('second', 'r-two', NULL, '08:30'),
       pg_temp.complain('afterwards', 'r-two', NULL, '10:00');
SELECT pg_temp.call('two', '+8615490000001', '+8615400000021', '09:00', 60);
SELECT is(pg_temp.look('first') || ', ' || pg_temp.look('second'), 'contacted proved two, contacted proved two', 'both of one shop');
SELECT is(pg_temp.look('afterwards'), 'open', 'but not what it raised afterwards');

SELECT pg_temp.shop('s1', '{+8615400000031,+8615400000032}', 'Li'), pg_temp.shop('s2', '{+8615400000031}', 'Wang');
SELECT pg_temp.complain('s1', 's1', NULL, '08:00');
SELECT pg_temp.call('shared-1', '+8615490000001', '+8615400000031', '09:00', 60);
SELECT is(pg_temp.look('s1'), 'contacted proved shared-1', 'a shared number, one shop waiting: it was called');
SELECT pg_temp.complain('s2 late', 's2', NULL, '08:00');
SELECT is(pg_temp.look('s2 late'), 'open', 'a call that was the other shop''s is not this one''s too');
SELECT pg_temp.complain('s1 again', 's1', NULL, '10:00'), pg_temp.complain('s2', 's2', NULL, '10:00');
SELECT pg_temp.call('shared-2', '+8615490000001', '+8615400000031', '11:00', 60);
SELECT is(pg_temp.look('s1 again') || ', ' || pg_temp.look('s2'), 'open, open', 'both shops waiting: the telephone cannot tell which');
SELECT is(pg_temp.tries('s1 again') || ', ' || pg_temp.tries('s2'), 'answered shared-2 am, answered shared-2 am', 'the call is kept for both');
SELECT pg_temp.call('own', '+8615490000001', '+8615400000032', '12:00', 60);
SELECT pg_temp.event('shared-2', 2, '+8615490000001', '+8615400000031', '11:00');
SELECT is(pg_temp.look('s1 again') || ', ' || pg_temp.look('s2'), 'contacted proved own, open', 'a number of its own tells, and makes nothing of the other call');
SELECT pg_temp.shop('o1', '{+8615400000041}', 'Zhao'), pg_temp.shop('o2', '{+8615400000041,+8615400000042}', 'Zhao');
SELECT pg_temp.complain('o1', 'o1', NULL, '08:00'), pg_temp.complain('o2', 'o2', NULL, '08:00');
SELECT pg_temp.call('owner', '+8615490000001', '+8615400000042', '08:30', 60);
SELECT is(pg_temp.look('o1') || ', ' || pg_temp.look('o2'), 'open, contacted proved owner', 'two shops of one person: a number of one is not the other''s');
SELECT pg_temp.complain('o2 again', 'o2', NULL, '08:40');
SELECT pg_temp.call('both', '+8615490000001', '+8615400000041', '09:00', 60);
SELECT is(pg_temp.look('o1') || ', ' || pg_temp.look('o2 again'), 'contacted proved both, contacted proved both', 'by the number they share he spoke for both');

-- Callers whom nobody knows.
SELECT pg_temp.complain('unknown', NULL, '+8615400000051', '08:00'), pg_temp.complain('shared', NULL, '+8615400000031', '13:00'),
       pg_temp.complain('anonymous', NULL, NULL, '08:00');
SELECT pg_temp.call('back', '801', '+8615400000051', '09:00', 60), pg_temp.call('back-2', '801', '+8615400000031', '14:00', 60);
SELECT is(pg_temp.look('unknown'), 'contacted proved back', 'an unknown caller is called back at the number he called from');
SELECT is(pg_temp.look('shared'), 'contacted proved back-2', 'so is the number of two shops that did not say which it is');
SELECT is(pg_temp.look('anonymous'), 'open', 'a caller without a number cannot be proved to have been called');

-- What was entered by hand, and what happens to it.
CREATE FUNCTION pg_temp.record(p_name text, p_time text) RETURNS void LANGUAGE sql AS $$
    UPDATE follow_ups SET state = 'contacted', proof = 'recorded', contacted_at = pg_temp.at(p_time), contacted_by_id = owner_id,
        first_try_at = pg_temp.at(p_time) WHERE follow_up_id = pg_temp.id(p_name) $$;
SELECT pg_temp.shop('h' || n, ARRAY['+861540000006' || n]), pg_temp.complain('h' || n, 'h' || n, NULL, '01:00') FROM generate_series(1, 3) n;
UPDATE follow_ups SET due_at = pg_temp.at('12:00') WHERE follow_up_id IN (SELECT id FROM ids WHERE name ~ '^h[0-9]$');
SELECT pg_temp.record('h1', '10:00'), pg_temp.record('h2', '10:00'), pg_temp.record('h3', '13:00');
SELECT pg_temp.call('h' || n, '+8615490000001', '+861540000006' || n, x.at, 60) FROM (VALUES (1, '11:00'), (2, '14:00'), (3, '14:00')) x (n, at);
SELECT is(pg_temp.look('h1'), 'contacted proved h1', 'said, then proved in time');
SELECT is(pg_temp.look('h2'), 'contacted recorded', 'said to be in time is not proved by a call after the deadline');
SELECT is(pg_temp.look('h3'), 'contacted proved h3', 'said to be late may be');
SELECT pg_temp.call('h1-early', '+8615490000001', '+8615400000061', '09:00', 60);
SELECT is((SELECT proof_call || ' ' || (contacted_at = pg_temp.at('09:00')) FROM follow_ups WHERE follow_up_id = pg_temp.id('h1')), 'h1-early true',
          'an earlier call that comes to be known later is the first contact');

-- How calls end.
SELECT is(try_outcome(x.cause, false, false), x.outcome, coalesce(x.cause, 'no cause')) FROM (VALUES
    ('486 Busy Here', 'busy'), ('17', 'busy'), ('USER_BUSY', 'busy'), ('600 Busy Everywhere', 'busy'), ('603 Decline', 'busy'),
    ('480 Temporarily Unavailable', 'no-answer'), ('487 Request Terminated', 'no-answer'), ('408 Request Timeout', 'no-answer'),
    ('19', 'no-answer'), ('NO_ANSWER', 'no-answer'), ('timeout', 'no-answer'), ('normal', 'no-answer'), (NULL, 'no-answer'),
    ('404 Not Found', 'failed'), ('503 Service Unavailable', 'failed'), ('1', 'failed'), ('UNALLOCATED_NUMBER', 'failed')) x (cause, outcome);
SELECT is(try_outcome('normal', true, false), 'short', 'answered, but not for long');

-- Tries that failed are kept, in any number.
SELECT pg_temp.shop('r-tries', '{+8615400000071}'), pg_temp.complain('tries', 'r-tries', NULL, '08:00');
SELECT pg_temp.call('t' || n, '+8615490000001', '+8615400000071', '0' || 8 + n / 2 || ':30', 0, c) FROM (VALUES (0, '486 Busy Here'), (2, '480')) x (n, c);
SELECT is(pg_temp.look('tries') || ': ' || pg_temp.tries('tries'), 'open: busy t0 am, no-answer t2 am', 'tries do not contact');
SELECT is((SELECT first_try_at FROM follow_ups WHERE follow_up_id = pg_temp.id('tries')), pg_temp.at('08:30'), 'the first one is remembered');
SELECT throws_ok('UPDATE follow_up_tries SET outcome = ''recorded''', '42501', NULL, 'nobody rewrites a try');

-- Any order: a complaint, one raised too late for the call, a busy call and one that proves, in each of their orders.
CREATE FUNCTION pg_temp.happen(p_shop integer, p_what integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_phone text := '+86156' || lpad(p_shop::text, 8, '0');
BEGIN
    CASE p_what
        WHEN 1 THEN PERFORM pg_temp.complain('p' || p_shop, 'p' || p_shop, NULL, '08:00');
        WHEN 2 THEN PERFORM pg_temp.complain('q' || p_shop, 'p' || p_shop, NULL, '09:00:30');
        WHEN 3 THEN PERFORM pg_temp.event('p' || p_shop, 2, '+8615490000001', v_phone, '09:00');
        WHEN 4 THEN PERFORM pg_temp.event('p' || p_shop, 3, '+8615490000001', v_phone, '09:01', 60, 'normal');
        ELSE PERFORM pg_temp.event('b' || p_shop, 3, '+8615490000001', v_phone, '08:30', 0, '486 Busy Here');
    END CASE;
END $$;
CREATE TEMP TABLE orders_of_events AS
    WITH RECURSIVE way (steps) AS (
        SELECT ARRAY[n] FROM generate_series(1, 5) n
        UNION ALL
        SELECT steps || n FROM way CROSS JOIN generate_series(1, 5) n WHERE n <> ALL (steps)
    )
    SELECT row_number() OVER ()::integer AS shop, steps FROM way WHERE cardinality(steps) = 5;
SELECT count(pg_temp.shop('p' || shop, ARRAY['+86156' || lpad(shop::text, 8, '0')])) FROM orders_of_events;
DO $$ BEGIN
    PERFORM pg_temp.happen(o.shop, s.what) FROM orders_of_events o CROSS JOIN LATERAL unnest(o.steps) WITH ORDINALITY s (what, n) ORDER BY o.shop, s.n;
END $$;
SELECT results_eq($$SELECT count(*), f.state, f.proof, f.proof_call = 'p' || o.shop, f.contacted_at, f.first_try_at, replace(pg_temp.tries('p' || o.shop), 'b' || o.shop, 'b'),
                           pg_temp.look('q' || o.shop), pg_temp.tries('q' || o.shop)
                    FROM orders_of_events o JOIN follow_ups f ON f.follow_up_id = pg_temp.id('p' || o.shop) GROUP BY 2, 3, 4, 5, 6, 7, 8, 9$$,
    $$VALUES (120::bigint, 'contacted', 'proved', true, pg_temp.at('09:00'), pg_temp.at('08:30'), 'busy b am', 'open', '')$$,
    'in each of 120 orders the same');
SELECT is((SELECT count(*) FROM follow_up_history h JOIN ids i ON i.id = h.follow_up_id AND i.name ~ '^p[0-9]' WHERE h.kind <> 'opened'), 240::bigint,
          'with one line for each try and each proof');

-- A gateway without a clock: an end alone cannot be counted back from.
SELECT pg_temp.shop('timeless', '{+8615480000077}');
SELECT pg_temp.complain('timeless', 'timeless', NULL, NULL);
SELECT pg_temp.event('t-timeless', 3, '+8615490000001', '+8615480000077', NULL, 35);
SELECT is(pg_temp.look('timeless'), 'contacted proved t-timeless', 'an end without a time, reported after the complaint, proves');
SELECT pg_temp.shop('under way', '{+8615480000078}');
SELECT pg_temp.event('t-under-way', 1, '+8615490000001', '+8615480000078', '10:00');
SELECT pg_temp.complain('under way', 'under way', NULL, '10:05');
SELECT pg_temp.event('t-under-way', 3, '+8615490000001', '+8615480000078', NULL, 35);
SELECT is(pg_temp.look('under way'), 'open', 'but not of a call that is known to have begun before');

SELECT * FROM finish();
ROLLBACK;
