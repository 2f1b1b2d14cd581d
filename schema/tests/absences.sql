-- Leave: who stands in, who is told, who sees, whose call counts; and handing everything over. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
SET LOCAL ROLE ringback_owner;
INSERT INTO ids VALUES ('branch', add_branch('TAP-LEAVE', 'x'));
RESET ROLE;
INSERT INTO areas (branch_id, code) VALUES (pg_temp.id('branch'), 'north');
INSERT INTO people (branch_id, code, name, role, area_id)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, CASE WHEN p.code IN ('am', 'mm') THEN area_id END
    FROM areas CROSS JOIN (VALUES ('am', 'account_manager'), ('am-2', 'account_manager'), ('am-3', 'account_manager'), ('am-4', 'account_manager'),
        ('mm', 'market_manager'), ('mm-2', 'market_manager'), ('sup', 'supervisor'), ('sup-2', 'supervisor'), ('insp', 'inspector')) p (code, role)
    WHERE branch_id = pg_temp.id('branch');
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
CREATE FUNCTION pg_temp.who(p_code text) RETURNS people LANGUAGE sql AS $$ SELECT * FROM people WHERE person_id = pg_temp.id(p_code) $$;
UPDATE people SET reports_to_id = pg_temp.id('mm') WHERE branch_id = pg_temp.id('branch') AND role = 'account_manager';
UPDATE people SET reports_to_id = pg_temp.id('sup') WHERE branch_id = pg_temp.id('branch') AND role = 'market_manager';
UPDATE people SET deputy_id = pg_temp.id('am-2') WHERE person_id = pg_temp.id('am');
UPDATE people SET deputy_id = pg_temp.id('am-3') WHERE person_id = pg_temp.id('am-2');
UPDATE people SET deputy_id = pg_temp.id('am') WHERE person_id = pg_temp.id('am-3');
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-leave', '\x00');
INSERT INTO targets (branch_id, person_id, channel, address, sealed_secret)
    SELECT branch_id, person_id, 'webhook', 'http://127.0.0.1/', '\x01' FROM people WHERE branch_id = pg_temp.id('branch') AND code NOT IN ('am-4', 'insp');
CREATE FUNCTION pg_temp.leave(p_code text, p_deputy text DEFAULT NULL, p_from interval DEFAULT '-1 hour', p_until interval DEFAULT '1 day') RETURNS void
LANGUAGE sql AS $$
    INSERT INTO absences (branch_id, person_id, deputy_id, starts_at, ends_at, made_by)
    VALUES (pg_temp.id('branch'), pg_temp.id(p_code), pg_temp.id(p_deputy), now() + p_from, now() + p_until, 'tap') $$;
CREATE FUNCTION pg_temp.back() RETURNS void LANGUAGE sql AS $$
    UPDATE absences SET cancelled_at = now(), cancelled_by = 'tap' WHERE cancelled_at IS NULL $$;
CREATE FUNCTION pg_temp.stands_in(p_code text, p_at timestamptz DEFAULT now()) RETURNS text LANGUAGE sql AS $$
    SELECT code FROM people WHERE person_id = stand_in(pg_temp.id('branch'), pg_temp.id(p_code), p_at) $$;
CREATE FUNCTION pg_temp.told(p_code text) RETURNS text LANGUAGE sql AS $$
    SELECT p.code FROM first_live_target(pg_temp.id('branch'), pg_temp.id(p_code)) t JOIN people p ON p.person_id = t.recipient_id $$;

-- Who stands in.
SELECT is(pg_temp.stands_in('am'), 'am', 'nobody for who is there');
SELECT pg_temp.leave('am');
SELECT is(pg_temp.stands_in('am'), 'am-2', 'the usual deputy');
SELECT is(pg_temp.stands_in('am', now() - interval '2 hours') || pg_temp.stands_in('am', now() + interval '1 day'), 'amam', 'for the time, no longer');
SELECT pg_temp.leave('am-2');
SELECT is(pg_temp.stands_in('am'), 'am-3', 'his deputy''s deputy, when that one is away too');
SELECT pg_temp.leave('am-3');
SELECT is(pg_temp.stands_in('am'), 'mm', 'all of a circle are away: up the line');
SELECT pg_temp.leave('mm');
SELECT is(pg_temp.stands_in('am') || ' ' || pg_temp.told('am'), 'sup sup', 'and on up the line');
SELECT pg_temp.leave(c) FROM unnest('{sup,sup-2}'::text[]) c;
SELECT is(pg_temp.stands_in('am'), 'am', 'when everybody is away it is himself');
SELECT isnt(pg_temp.told('am'), NULL, 'and somebody is told');
SELECT pg_temp.back();
SELECT pg_temp.leave('am', 'am-4');
SELECT is(pg_temp.stands_in('am'), 'am-4', 'the deputy named for the leave comes before the usual one');
SELECT is(pg_temp.told('am'), 'mm', 'without a channel of his the line hears');
SELECT pg_temp.back();
SELECT pg_temp.leave('am-4');
SELECT is(pg_temp.stands_in('am-4'), 'mm', 'who has no deputy at all: up the line');
SELECT pg_temp.back();
SELECT pg_temp.leave('am');
UPDATE people SET retired_at = now() WHERE person_id = pg_temp.id('am-2');
SELECT is(pg_temp.stands_in('am'), 'am-3', 'a deputy who has left is passed over, by his own');
UPDATE people SET retired_at = NULL WHERE person_id = pg_temp.id('am-2');

-- What it means: told, seen, proved.
SELECT is(pg_temp.told('am'), 'am-2', 'notifications go to the stand-in');
SELECT is((SELECT array_agg(code ORDER BY code) FROM people WHERE person_id = ANY (managers_of(pg_temp.id('branch'), pg_temp.id('am-2'), 'account_manager'))),
          '{am,am-2}', 'who sees what is his');
SELECT is(managers_of(pg_temp.id('branch'), pg_temp.id('am-3'), 'account_manager'), ARRAY[pg_temp.id('am-3')], 'others do not');
SELECT is(answers_for(pg_temp.id('branch'), pg_temp.id('am-2'), pg_temp.id('am'), NULL), 1, 'his word and his call count');
SELECT pg_temp.back();
SELECT pg_temp.leave('mm', 'mm-2');
SELECT is((SELECT array_agg(code ORDER BY code) FROM people WHERE person_id = ANY (managers_of(pg_temp.id('branch'), pg_temp.id('mm-2'), 'market_manager'))),
          '{am,am-2,am-3,am-4,mm,mm-2}', 'who stands in for a market manager sees his people''s');
SELECT is(managers_of(pg_temp.id('branch'), NULL, 'administrator'), NULL, 'an account without a person stands in for nobody');
SELECT pg_temp.back();
SELECT is(managers_of(pg_temp.id('branch'), pg_temp.id('am-2'), 'account_manager'), ARRAY[pg_temp.id('am-2')], 'when he is back it is over');

-- Handing over.
INSERT INTO retailers (branch_id, code, name, manager_id, area_id)
    SELECT branch_id, 'r' || n, 'r' || n, pg_temp.id('am'), area_id FROM areas CROSS JOIN generate_series(1, 190) n WHERE branch_id = pg_temp.id('branch');
CREATE FUNCTION pg_temp.raise(p_from integer, p_to integer, p_kind text) RETURNS void LANGUAGE sql AS $$
    WITH c AS (
        INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at, retailer_id)
        SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), p_kind, 'x', g.gateway_id, now(), r.retailer_id
        FROM branches b JOIN gateways g USING (branch_id) JOIN retailers r USING (branch_id) CROSS JOIN generate_series(p_from, p_to)
        WHERE branch_id = pg_temp.id('branch') AND (p_kind = 'complaint' OR r.code = 'r1') RETURNING *)
    INSERT INTO follow_ups (branch_id, complaint, kind, owner_id, policy_id, raised_at, due_at, retailer_id)
    SELECT c.branch_id, c.reference, p_kind, pg_temp.id('am'), p.policy_id, now(), now() + interval '1 day', c.retailer_id
    FROM c JOIN policies p USING (branch_id) $$;
SELECT pg_temp.raise(1, 2, 'complaint'), pg_temp.raise(1, 1, 'report');
UPDATE follow_ups SET state = 'acknowledged', acknowledged_at = now() WHERE follow_up_id = (SELECT min(follow_up_id) FROM follow_ups WHERE branch_id = pg_temp.id('branch'));
WITH f AS (SELECT follow_up_id FROM follow_ups WHERE branch_id = pg_temp.id('branch') AND kind = 'complaint' AND state = 'open' ORDER BY follow_up_id LIMIT 1),
     c AS (UPDATE follow_ups SET state = 'contacted', proof = 'recorded', contacted_at = now() FROM f WHERE follow_ups.follow_up_id = f.follow_up_id)
INSERT INTO ids SELECT 'contacted', follow_up_id FROM f;
WITH f AS (SELECT max(follow_up_id) AS id FROM follow_ups WHERE branch_id = pg_temp.id('branch') AND kind = 'complaint'),
     c AS (UPDATE follow_ups SET state = 'closed', closed_at = now(), merged_into = pg_temp.id('contacted') FROM f WHERE follow_up_id = f.id)
INSERT INTO ids SELECT 'closed', id FROM f;
INSERT INTO follow_up_requests (branch_id, follow_up_id, number, asked_id, asked_by_id, text, due_at)
    VALUES (pg_temp.id('branch'), pg_temp.id('contacted'), 1, pg_temp.id('am'), pg_temp.id('sup'), 'x', now() + interval '1 hour');
INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, person_id, due_at)
    VALUES (pg_temp.id('branch'), pg_temp.id('contacted'), 'request-1', 'request', 'requested', pg_temp.id('am'), now() + interval '1 hour');
INSERT INTO tasks (branch_id, kind, follow_up_id, assignee_id, report, text, due_at)
    VALUES (pg_temp.id('branch'), 'low-score', pg_temp.id('contacted'), pg_temp.id('am'), false, 'x', now() + interval '1 day');

SELECT throws_ok(format('SELECT hand_over_person(%s, %L, %L, false, NULL, ''tap'')', pg_temp.id('branch'), x.from_code, x.to_code), 'P0001', x.message, x.message)
FROM (VALUES ('nobody', 'am-2', 'there is no person "nobody"'), ('am', 'nobody', 'nobody who works here has the code "nobody"'),
    ('am', 'am', 'am cannot take over from himself'), ('am', 'mm', 'am has retailers, and mm is no account_manager but market_manager')) x (from_code, to_code, message);
SELECT is(hand_over_person(pg_temp.id('branch'), 'am', 'am-4', true, 'moves away', 'tap'),
    '{"to": "am-4", "from": "am", "tasks": 1, "people": 0, "retired": true, "requests": 1, "deputy_of": 1, "retailers": 190, "follow_ups": 380}'::jsonb,
    'all that waits, in one action');
SELECT is((SELECT count(*) FROM retailers WHERE manager_id = pg_temp.id('am-4')), 190::bigint, 'retailers');
SELECT is((SELECT count(*) FROM retailer_changes WHERE branch_id = pg_temp.id('branch') AND old_values = '{"manager": "am"}' AND new_values = '{"manager": "am-4"}'), 190::bigint,
          'which their history says');
SELECT results_eq($$SELECT p.code, f.kind, f.state, count(*) FROM follow_ups f JOIN people p ON p.person_id = f.owner_id WHERE f.branch_id = pg_temp.id('branch') GROUP BY 1, 2, 3 ORDER BY 1, 2, 3$$,
    $$VALUES ('am', 'complaint', 'closed', 1::bigint), ('am-4', 'complaint', 'contacted', 1), ('am-4', 'complaint', 'open', 378), ('insp', 'report', 'open', 1)$$,
    'follow-ups, to be acknowledged anew; a report to who may see it; what is closed stays');
SELECT is((SELECT count(*) FROM follow_up_history WHERE branch_id = pg_temp.id('branch') AND kind = 'handed-over' AND details ->> 'from' = 'am' AND details ->> 'reason' = 'moves away'),
          380::bigint, 'each with a line in its history');
SELECT is((SELECT count(DISTINCT follow_up_id) FROM notifications WHERE branch_id = pg_temp.id('branch') AND type = 'assigned' AND addressee_id = pg_temp.id('am-4')), 378::bigint,
          'the new owner hears of what is still to do');
SELECT is((SELECT asked_id FROM follow_up_requests WHERE branch_id = pg_temp.id('branch')), pg_temp.id('am-4'), 'requests');
SELECT is((SELECT person_id FROM follow_up_steps WHERE follow_up_id = pg_temp.id('contacted') AND step = 'request-1'), pg_temp.id('am-4'), 'with their steps');
SELECT is((SELECT assignee_id FROM tasks WHERE branch_id = pg_temp.id('branch')), pg_temp.id('am-4'), 'tasks');
SELECT is((pg_temp.who('am-3')).deputy_id, pg_temp.id('am-4'), 'whose deputy he was');
SELECT isnt((pg_temp.who('am')).retired_at, NULL, 'and he has left');
SELECT is((SELECT details ->> 'retailers' FROM audit_log WHERE branch_id = pg_temp.id('branch') AND action = 'person-hand-over'), '190', 'with an audit row');

-- Superiors: the line never goes in a circle.
SELECT is(hand_over_person(pg_temp.id('branch'), 'mm', 'am-3', false, NULL, 'tap') ->> 'people', '3', 'his people report to who takes over');
SELECT is((pg_temp.who('am-3')).reports_to_id, (pg_temp.who('mm')).reports_to_id, 'who was below him takes his place');
SELECT is((SELECT count(*) FROM line_of(pg_temp.id('branch'), pg_temp.id('am-2')) WHERE height < 1000), 3::bigint, 'am-2, am-3, sup');
UPDATE branches SET duty_supervisor_id = pg_temp.id('sup') WHERE branch_id = pg_temp.id('branch');
SELECT lives_ok(format('SELECT hand_over_person(%s, ''sup'', ''sup-2'', true, NULL, ''tap'')', pg_temp.id('branch')), 'a supervisor');
SELECT is(duty_supervisor(pg_temp.id('branch')), pg_temp.id('sup-2'), 'and his duty');

SELECT * FROM finish();
ROLLBACK;
