-- What nobody acknowledges is passed on: to the next channel, the deputy, up the line, and no further than needed. Undone at the
-- end; now() stands still in it, so steps are moved to be due.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
SET LOCAL ROLE ringback_owner;
INSERT INTO ids VALUES ('branch', add_branch('TAP-SILENCE', 'x'));
RESET ROLE;
INSERT INTO people (branch_id, code, name, role, sees_reports)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, p.code = 'named'
    FROM (VALUES ('am', 'account_manager'), ('am-2', 'account_manager'), ('am-3', 'account_manager'), ('mm', 'market_manager'),
                 ('sup', 'supervisor'), ('named', 'supervisor'), ('insp', 'inspector')) p (code, role);
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
UPDATE people SET reports_to_id = pg_temp.id('mm') WHERE branch_id = pg_temp.id('branch') AND role = 'account_manager';
UPDATE people SET deputy_id = pg_temp.id('am-2') WHERE person_id = pg_temp.id('am');
UPDATE branches SET duty_supervisor_id = pg_temp.id('sup') WHERE branch_id = pg_temp.id('branch');
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-silence', '\x00');
INSERT INTO retailers (branch_id, code, name, manager_id) SELECT pg_temp.id('branch'), c, c, pg_temp.id(c) FROM unnest('{am,am-3}'::text[]) c;
INSERT INTO targets (branch_id, person_id, channel, address, sealed_secret, position)
    SELECT branch_id, person_id, 'webhook', 'http://127.0.0.1/' || n, '\x01', n FROM people CROSS JOIN generate_series(1, 2) n
    WHERE branch_id = pg_temp.id('branch') AND (n = 1 OR code = 'am');

CREATE FUNCTION pg_temp.raise(p_name text, p_manager text, p_kind text DEFAULT 'complaint') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_reference bigint;
BEGIN
    INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at)
        SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), p_kind, 'x', g.gateway_id, now()
        FROM branches b JOIN gateways g USING (branch_id) WHERE branch_id = pg_temp.id('branch') RETURNING reference INTO v_reference;
    INSERT INTO ids SELECT p_name, (open_follow_ups(ARRAY[pg_temp.id('branch')], ARRAY[v_reference],
        ARRAY[(SELECT retailer_id FROM retailers WHERE branch_id = pg_temp.id('branch') AND code = p_manager)], ARRAY[pg_temp.id(p_manager)],
        ARRAY[p_kind], ARRAY[NULL::text], ARRAY[NULL::integer], ARRAY[now()])).v_follow_up[1];
END $$;
-- The step for silence that waits falls due, and the clock looks.
CREATE FUNCTION pg_temp.pass(p_name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE follow_up_steps SET due_at = now() WHERE follow_up_id = pg_temp.id(p_name) AND action = 'unacknowledged' AND fired_at IS NULL;
    PERFORM count(*) FROM fire_due_steps(NULL, 100);
    RETURN (SELECT coalesce(string_agg(p.code || '/' || t.position || ' ' || n.type || ' ' || n.step, ', ' ORDER BY n.step), '')
            FROM notifications n JOIN people p ON p.branch_id = n.branch_id AND p.person_id = n.recipient_id
            JOIN targets t ON t.branch_id = n.branch_id AND t.target_id = n.target_id
            WHERE n.follow_up_id = pg_temp.id(p_name) AND n.step <> 'assigned');
END $$;
CREATE FUNCTION pg_temp.waits(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(step || ' ' || whom || ' ' || due_at - now(), ', '), 'nothing') FROM follow_up_steps
    WHERE follow_up_id = pg_temp.id(p_name) AND action = 'unacknowledged' AND fired_at IS NULL $$;
CREATE FUNCTION pg_temp.skipped(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(step || ' ' || skipped, ', ' ORDER BY step) FROM follow_up_steps
    WHERE follow_up_id = pg_temp.id(p_name) AND action = 'unacknowledged' AND skipped IS NOT NULL $$;

SELECT pg_temp.raise('all', 'am');
SELECT is(pg_temp.waits('all'), 'unacknowledged-1 next_channel 01:00:00', 'an hour to acknowledge, from the moment it was assigned');
SELECT is(pg_temp.pass('all'), 'am/2 assigned unacknowledged-1', 'then his other channel');
SELECT is(pg_temp.waits('all'), 'unacknowledged-2 deputy 01:00:00', 'and another hour');
SELECT is(pg_temp.pass('all'), 'am/2 assigned unacknowledged-1, am-2/1 assigned unacknowledged-2', 'then his deputy');
SELECT is(pg_temp.pass('all'), 'am/2 assigned unacknowledged-1, am-2/1 assigned unacknowledged-2, mm/1 escalated unacknowledged-3', 'then his market manager');
SELECT is(pg_temp.pass('all'), 'am/2 assigned unacknowledged-1, am-2/1 assigned unacknowledged-2, mm/1 escalated unacknowledged-3, sup/1 escalated unacknowledged-4',
          'then the duty supervisor');
SELECT is(pg_temp.waits('all'), 'nothing', 'there it ends');
SELECT is((SELECT string_agg(kind || ' ' || (details ->> 'whom') || ' ' || (details ->> 'person'), ', ' ORDER BY history_id) FROM follow_up_history
           WHERE follow_up_id = pg_temp.id('all') AND kind = 'unacknowledged'),
          'unacknowledged next_channel am, unacknowledged deputy am-2, unacknowledged market_manager mm, unacknowledged duty_supervisor sup', 'all of it is in its history');
SELECT is((SELECT count(*) FROM follow_up_steps WHERE follow_up_id = pg_temp.id('all') AND action <> 'unacknowledged' AND fired_at IS NULL), 5::bigint,
          'what is for lateness is untouched');

SELECT pg_temp.raise('alone', 'am-3');
SELECT is(pg_temp.pass('alone'), 'mm/1 escalated unacknowledged-1', 'who has one channel and no deputy: at once his market manager');
SELECT is(pg_temp.waits('alone'), 'unacknowledged-2 duty_supervisor 01:00:00', 'whom the duty supervisor follows');
UPDATE branches SET duty_supervisor_id = NULL WHERE branch_id = pg_temp.id('branch');
UPDATE people SET retired_at = now() WHERE person_id IN (pg_temp.id('sup'), pg_temp.id('named'));
SELECT is(pg_temp.pass('alone'), 'mm/1 escalated unacknowledged-1', 'without one');
SELECT is(pg_temp.skipped('alone'), 'unacknowledged-2 nobody', 'nobody is left to tell');
UPDATE people SET retired_at = NULL WHERE person_id IN (pg_temp.id('sup'), pg_temp.id('named'));

-- What ends it.
SELECT pg_temp.raise(n, 'am') FROM unnest('{acknowledged,contacted,tried}'::text[]) n;
UPDATE follow_ups SET state = 'acknowledged', acknowledged_at = now() WHERE follow_up_id = pg_temp.id('acknowledged');
UPDATE follow_ups SET state = 'contacted', proof = 'recorded', contacted_at = now() WHERE follow_up_id = pg_temp.id('contacted');
INSERT INTO follow_up_tries (branch_id, follow_up_id, at, outcome, actor) VALUES (pg_temp.id('branch'), pg_temp.id('tried'), now(), 'busy', 'am');
UPDATE follow_ups SET first_try_at = now() WHERE follow_up_id = pg_temp.id('tried');
SELECT is(pg_temp.pass(n) || pg_temp.skipped(n) || ', ' || pg_temp.waits(n), 'unacknowledged-1 ' || n || ', nothing', n) FROM unnest('{acknowledged,contacted,tried}'::text[]) n;
UPDATE follow_up_steps SET due_at = now() WHERE follow_up_id = pg_temp.id('tried') AND step = 'overdue';
SELECT is(pg_temp.pass('tried'), 'am/1 overdue overdue', 'trying is not reaching: late is late');
SELECT is((SELECT details ->> 'tries' FROM follow_up_history WHERE follow_up_id = pg_temp.id('tried') AND kind = 'overdue'), '1', 'but it says how often he tried');
SELECT is((SELECT body::jsonb ->> 'tries' FROM notifications WHERE follow_up_id = pg_temp.id('tried') AND step = 'overdue'), '1', 'and so does what is sent');
SELECT ok((SELECT NOT body::jsonb ? 'tries' FROM notifications WHERE follow_up_id = pg_temp.id('tried') AND step = 'assigned'), 'which is silent when there were none');

-- Another owner, and one reopened, have to acknowledge anew.
UPDATE follow_ups SET owner_id = pg_temp.id('am-3'), state = 'open' WHERE follow_up_id = pg_temp.id('acknowledged');
SELECT is(pg_temp.waits('acknowledged'), 'unacknowledged-2 next_channel 01:00:00', 'handed over');
UPDATE follow_ups SET owner_id = pg_temp.id('am') WHERE follow_up_id = pg_temp.id('acknowledged');
SELECT is(pg_temp.waits('acknowledged') || '; ' || pg_temp.skipped('acknowledged'),
          'unacknowledged-3 next_channel 01:00:00; unacknowledged-1 acknowledged, unacknowledged-2 replaced', 'and once more, from the beginning');
UPDATE follow_ups SET state = 'open', reopened = 1, proof = NULL, contacted_at = NULL WHERE follow_up_id = pg_temp.id('contacted');
SELECT is(pg_temp.waits('contacted'), 'unacknowledged-2 next_channel 01:00:00', 'reopened');

-- Policies and calendars.
UPDATE policies SET acknowledge_within = NULL WHERE branch_id = pg_temp.id('branch');
SELECT pg_temp.raise('never', 'am');
SELECT is(pg_temp.waits('never'), 'nothing', 'a policy may leave it out');
UPDATE policies SET acknowledge_within = '20 minutes' WHERE branch_id = pg_temp.id('branch');
SELECT pg_temp.raise('soon', 'am');
SELECT is(pg_temp.waits('soon'), 'unacknowledged-1 next_channel 00:20:00', 'or say how soon');

-- A report of an offence is not for the line, but for those who may see it.
SELECT pg_temp.raise('report', 'am', 'report');
SELECT is(pg_temp.pass('report'), 'named/1 escalated unacknowledged-1', 'the next who may see it');
SELECT is((SELECT count(*) FROM notifications n JOIN people p ON p.branch_id = n.branch_id AND p.person_id = n.recipient_id
           WHERE n.follow_up_id = pg_temp.id('report') AND p.code NOT IN ('insp', 'named')), 0::bigint, 'nobody else');
UPDATE follow_up_steps SET due_at = now() WHERE follow_up_id = pg_temp.id('report') AND action = 'escalated';
SELECT is(pg_temp.pass('report'), 'named/1 escalated escalation-1, named/1 escalated escalation-2, named/1 escalated unacknowledged-1', 'not even for lateness');

-- A step that names channels.
INSERT INTO targets (branch_id, person_id, channel, address, position) VALUES (pg_temp.id('branch'), pg_temp.id('am-2'), 'console', 'console', 9);
SELECT pg_temp.raise('channels', 'am');
UPDATE follow_ups SET owner_id = pg_temp.id('am-2') WHERE follow_up_id = pg_temp.id('channels');
UPDATE follow_up_steps SET due_at = now(), channels = '{console,email}' WHERE follow_up_id = pg_temp.id('channels') AND step = 'reminder-50';
UPDATE follow_up_steps SET due_at = now(), channels = '{wecom}' WHERE follow_up_id = pg_temp.id('channels') AND step = 'reminder-75';
SELECT is((SELECT string_agg(x.one, ', ') FROM unnest(string_to_array(pg_temp.pass('channels'), ', ')) x (one) WHERE x.one LIKE '%reminder%'),
          'am-2/9 reminded reminder-50, am-2/1 reminded reminder-75', 'is told by one of these, or by any when he has none of them');

SELECT * FROM finish();
ROLLBACK;
