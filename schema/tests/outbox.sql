-- Claims, leases, the breaker, passing on, giving up, adoption. One transaction, undone at the end: now() stands still in it,
-- so time passes by moving rows.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

-- A branch with a line of command (am → mm → sup), and a way to make follow-ups.
CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-OUTBOX', 'x'));
INSERT INTO people (branch_id, code, name, role) VALUES
    (pg_temp.id('branch'), 'am', 'am', 'account_manager'), (pg_temp.id('branch'), 'mm', 'mm', 'market_manager'),
    (pg_temp.id('branch'), 'sup', 'sup', 'supervisor');
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
UPDATE people SET reports_to_id = pg_temp.id('mm') WHERE branch_id = pg_temp.id('branch') AND code = 'am';
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-outbox', '\x00');
INSERT INTO ids SELECT 'gateway', gateway_id FROM gateways WHERE name = 'tap-outbox';

CREATE FUNCTION pg_temp.target(p_person text, p_name text) RETURNS integer LANGUAGE sql AS $$
    WITH t AS (INSERT INTO targets (branch_id, person_id, channel, address, sealed_secret)
               VALUES (pg_temp.id('branch'), pg_temp.id(p_person), 'webhook', 'http://127.0.0.1/' || p_name, '\x01')
               RETURNING target_id)
    INSERT INTO ids SELECT p_name, target_id FROM t RETURNING id::integer $$;
-- n follow-ups with their first notification; gives the last one's id.
CREATE FUNCTION pg_temp.raise(p_owner text, p_n integer DEFAULT 1) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_follow_up bigint; v_reference bigint;
BEGIN
    FOR i IN 1..p_n LOOP
        SELECT reference_of(nextval(reference_sequence)) INTO v_reference FROM branches WHERE branch_id = pg_temp.id('branch');
        INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at)
            VALUES (pg_temp.id('branch'), v_reference, 'complaint', 'x', pg_temp.id('gateway'), now());
        INSERT INTO follow_ups (branch_id, complaint, owner_id, policy_id, raised_at, due_at)
            SELECT branch_id, v_reference, pg_temp.id(p_owner), policy_id, now(), now() + deadline FROM policies
            WHERE branch_id = pg_temp.id('branch') RETURNING follow_up_id INTO v_follow_up;
        PERFORM make_notifications(ARRAY[pg_temp.id('branch')], ARRAY[v_follow_up], ARRAY['assigned'], ARRAY['assigned'],
                                   ARRAY[pg_temp.id(p_owner)]);
    END LOOP;
    RETURN v_follow_up;
END $$;
CREATE TEMP TABLE held AS SELECT * FROM claim_notifications(0) LIMIT 0;
GRANT ALL ON held TO PUBLIC;
-- Claims as a daemon would and remembers what it got; finishes all of it, or what one target has, with one outcome.
CREATE FUNCTION pg_temp.claim(p_most integer DEFAULT 256) RETURNS integer LANGUAGE sql AS $$
    WITH got AS (INSERT INTO held SELECT * FROM claim_notifications(p_most) RETURNING 1) SELECT count(*)::integer FROM got $$;
CREATE FUNCTION pg_temp.finish(p_outcome text, p_pause bigint DEFAULT 10000, p_rest bigint DEFAULT 0, p_target text DEFAULT NULL)
RETURNS SETOF text LANGUAGE sql AS $$
    WITH mine AS (DELETE FROM held WHERE p_target IS NULL OR target_id = pg_temp.id(p_target) RETURNING *)
    SELECT f.what || coalesce(' ' || (SELECT name FROM ids WHERE id = f.target_id AND name NOT IN ('branch', 'gateway', 'am', 'mm', 'sup')), '')
    FROM (SELECT array_agg(branch_id) b, array_agg(target_id) t, array_agg(follow_up_id) u, array_agg(notification_id::text) i, array_agg(lease) l,
                 array_agg(p_outcome) o, array_agg(500) s, array_agg('x'::text) e, array_agg(7) m, array_agg(p_pause) p,
                 array_agg(p_rest) r FROM mine) a
    CROSS JOIN LATERAL finish_attempts(a.b, a.t, a.u, a.i, a.l, a.o, a.s, a.e, a.m, a.p, a.r) f $$;
CREATE FUNCTION pg_temp.states() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(state || ' ' || n, ', ' ORDER BY state), '') FROM (
        SELECT state, count(*) AS n FROM notifications WHERE branch_id = pg_temp.id('branch') GROUP BY 1) q $$;
-- Ends what there is, for the next part.
CREATE FUNCTION pg_temp.clear() RETURNS void LANGUAGE sql AS $$
    DELETE FROM held;
    UPDATE notifications SET state = 'cancelled' WHERE target_id IS NOT NULL AND branch_id = pg_temp.id('branch');
    UPDATE targets SET failures = 0, paused_until = NULL WHERE branch_id = pg_temp.id('branch') $$;

SELECT pg_temp.target('am', 'one');

-- An ordinary delivery, as the daemon's role.
SELECT pg_temp.raise('am');
SET LOCAL ROLE ringback_app;
SELECT is(pg_temp.claim(), 1, 'a new notification is claimed');
RESET ROLE;
SELECT is(pg_temp.claim(), 0, 'only once');
SELECT results_eq('SELECT lease, attempt, channel, address FROM held',
                  $$VALUES (1::bigint, 1, 'webhook', 'http://127.0.0.1/one')$$, 'with all that is needed to send it');
SELECT is((SELECT leased_until FROM notifications n JOIN held USING (branch_id, notification_id)), now() + interval '60 seconds',
          'leased for a minute');
SET LOCAL ROLE ringback_app;
SELECT is_empty($$SELECT pg_temp.finish('delivered')$$, 'a delivery says nothing more');
RESET ROLE;
SELECT is(pg_temp.states(), 'delivered 1', 'it is delivered');
SELECT results_eq('SELECT attempt, status, error, milliseconds FROM notification_attempts WHERE branch_id = pg_temp.id(''branch'')',
                  $$VALUES (1, 500, 'x', 7)$$, 'the attempt is on record');

-- Leases and fencing.
SELECT pg_temp.clear();
SELECT pg_temp.raise('am');
SELECT pg_temp.claim();
UPDATE notifications SET leased_until = now() - interval '1 second' WHERE state = 'sending';
CREATE TEMP TABLE stale AS SELECT * FROM held;
DELETE FROM held;
SELECT is(pg_temp.claim(), 1, 'what a dead daemon held is claimed again');
SELECT results_eq('SELECT lease, attempt FROM held', $$VALUES (2::bigint, 2)$$, 'with a new token');
SELECT lives_ok($$SELECT finish_attempts(array_agg(branch_id), array_agg(target_id), array_agg(follow_up_id), array_agg(notification_id::text), array_agg(lease),
    '{delivered}', '{200}', '{NULL}', '{1}', '{0}', '{0}') FROM stale$$, 'the late outcome of the old lease');
SELECT is((SELECT state FROM notifications JOIN held USING (branch_id, notification_id)), 'sending', 'does not count');
SELECT is((SELECT count(*) FROM notification_attempts JOIN held USING (branch_id, notification_id)), 0::bigint, 'nor is recorded');
SELECT pg_temp.finish('returned');
SELECT is((SELECT (state, attempts, lease)::text FROM notifications WHERE state = 'waiting'), '(waiting,1,2)',
          'what was not tried is handed back and its attempt not counted');
SELECT is(pg_temp.claim(), 1, 'and can be claimed at once');
SELECT is((SELECT lease FROM held), 3::bigint, 'under the next token');

-- Retry, Retry-After, giving up.
SELECT pg_temp.finish('retry', 12345);
SELECT is((SELECT next_attempt_at FROM notifications WHERE state = 'waiting'), now() + interval '12.345 seconds', 'tried again after its pause');
SELECT is(pg_temp.claim(), 0, 'not before');
UPDATE notifications SET next_attempt_at = now() WHERE state = 'waiting';
SELECT pg_temp.claim();
SELECT results_eq($$SELECT pg_temp.finish('retry', 90000, 90000)$$, $$VALUES ('paused one')$$, 'a target that asks for rest');
SELECT is((SELECT paused_until FROM targets WHERE target_id = pg_temp.id('one')), now() + interval '90 seconds', 'gets it');
SELECT pg_temp.raise('am');
SELECT is(pg_temp.claim(), 0, 'from every notification');
UPDATE targets SET paused_until = now() - interval '1 second' WHERE target_id = pg_temp.id('one');
SELECT is(pg_temp.claim(), 1, 'until it is over');
SELECT pg_temp.clear();
SELECT pg_temp.raise('am');
SELECT pg_temp.claim();
UPDATE notifications SET give_up_at = now() + interval '5 seconds' WHERE state = 'sending';
SELECT pg_temp.finish('retry', 900000);
SELECT is((SELECT next_attempt_at FROM notifications WHERE state = 'waiting'), now() + interval '5 seconds', 'the last attempt is made when the time is over');
UPDATE notifications SET give_up_at = now(), next_attempt_at = now() WHERE state = 'waiting';
SELECT pg_temp.claim();
SELECT results_eq($$SELECT pg_temp.finish('retry')$$, $$VALUES ('failed')$$, 'after it');
SELECT is((SELECT count(*) FROM notifications WHERE state = 'failed' AND finished_at = now()), 1::bigint, 'it is listed as failed');
SELECT is(pg_temp.claim(), 0, 'and not tried any more');
SET LOCAL ROLE ringback_app;
SELECT is(resend_notifications(pg_temp.id('branch'), 'tool:tap'), 1, 'unless by hand');
RESET ROLE;
SELECT is(pg_temp.claim(), 1, 'then it is');
SELECT is((SELECT give_up_at FROM notifications WHERE state = 'sending'), now() + interval '3 days', 'for three more days');
SELECT is((SELECT actor FROM audit_log WHERE branch_id = pg_temp.id('branch') AND action = 'notification-resent'), 'tool:tap', 'and it is known who did it');

-- At most 32 in flight for one target, whoever claims.
SELECT pg_temp.clear();
SELECT pg_temp.raise('am', 40);
SELECT is(pg_temp.claim(20), 20, 'a claim takes what it was told');
SELECT is(pg_temp.claim(), 12, 'but no more than 32 are in flight');
SELECT is(pg_temp.claim(), 0, 'at one target');

-- The breaker.
SELECT results_eq($$SELECT pg_temp.finish('retry', 0)$$, $$VALUES ('paused one')$$, 'many failures at once pause the target');
SELECT is((SELECT failures FROM targets WHERE target_id = pg_temp.id('one')), 5, 'and count as the first opening');
SELECT ok((SELECT paused_until - now() BETWEEN '0.7 seconds' AND '1 second' FROM targets WHERE target_id = pg_temp.id('one')), 'which is short');
SELECT is(pg_temp.claim(), 0, 'nothing is sent meanwhile');
UPDATE targets SET paused_until = now() WHERE target_id = pg_temp.id('one');
SELECT is(pg_temp.claim(), 1, 'then one probe');
SELECT is(pg_temp.claim(), 0, 'alone');
SELECT pg_temp.finish('retry', 0);
SELECT ok((SELECT failures = 6 AND paused_until - now() BETWEEN '1.4 seconds' AND '2 seconds' FROM targets WHERE target_id = pg_temp.id('one')), 'which fails: a longer pause');
UPDATE targets SET failures = 1000, paused_until = now() WHERE target_id = pg_temp.id('one');
SELECT pg_temp.claim();
SELECT pg_temp.finish('retry', 0);
SELECT ok((SELECT paused_until - now() BETWEEN '14 seconds' AND '20 seconds' FROM targets WHERE target_id = pg_temp.id('one')), 'up to twenty seconds');
UPDATE targets SET paused_until = now() WHERE target_id = pg_temp.id('one');
SELECT pg_temp.claim();
SELECT is_empty($$SELECT pg_temp.finish('delivered')$$, 'a probe that gets through');
SELECT is((SELECT failures FROM targets WHERE target_id = pg_temp.id('one')), 0, 'closes the breaker');
SELECT is(pg_temp.claim(), 32, 'and everything flows');
UPDATE targets SET failures = 4 WHERE target_id = pg_temp.id('one');
SELECT is_empty($$SELECT pg_temp.finish('refused', 60000)$$, 'refusing a message');
SELECT is((SELECT failures FROM targets WHERE target_id = pg_temp.id('one')), 0, 'is no failure of the target');
SELECT is(pg_temp.states(), 'cancelled 4, delivered 1, waiting 39', 'but one of the message');
UPDATE notifications SET next_attempt_at = now() WHERE state = 'waiting';
UPDATE targets SET failures = 4 WHERE target_id = pg_temp.id('one');
SELECT pg_temp.claim();
SELECT is_empty($$SELECT pg_temp.finish('cut', 60000)$$, 'what the daemon cut off itself');
SELECT is((SELECT failures FROM targets WHERE target_id = pg_temp.id('one')), 4, 'blames nobody');
SELECT is((SELECT count(*) FROM notifications WHERE state = 'waiting' AND next_attempt_at = now() + interval '1 minute'), 32::bigint, 'and is tried again');

-- Fairness: a target with much to do does not keep others waiting, nor one that is down.
SELECT pg_temp.clear();
SELECT pg_temp.target('mm', 'two');
SELECT pg_temp.target('sup', 'three');
SELECT pg_temp.raise('am', 30);
SELECT pg_temp.raise('mm', 3);
SELECT pg_temp.raise('sup', 30);
UPDATE targets SET failures = 9, paused_until = now() + interval '9 seconds' WHERE target_id = pg_temp.id('three');
SELECT is(pg_temp.claim(8), 7, 'a small claim');
SELECT results_eq('SELECT count(*) FROM held GROUP BY target_id ORDER BY 1', 'VALUES (3::bigint), (4)', 'is shared between targets');
SELECT is((SELECT count(*) FROM claim_notifications(256, '60 seconds', ARRAY[pg_temp.id('branch')], ARRAY[pg_temp.id('one')], '{0}')), 0::bigint,
          'a target that the daemon has enough of is left out');

-- Closed follow-ups.
SELECT pg_temp.clear();
SELECT pg_temp.raise('am');
SET LOCAL session_replication_role = replica; -- how they got there is not the point here
UPDATE follow_ups SET state = 'closed' WHERE branch_id = pg_temp.id('branch');
SET LOCAL session_replication_role = origin;
SELECT is(pg_temp.claim(), 0, 'a closed follow-up has nothing to tell');
SELECT is((SELECT count(*) FROM notifications WHERE branch_id = pg_temp.id('branch') AND state IN ('waiting', 'sending')), 0::bigint, 'any more');
UPDATE notifications SET type = 'closed', state = 'waiting' WHERE finished_at = now() AND state = 'cancelled';
SELECT cmp_ok(pg_temp.claim(), '>=', 1, 'but that it is closed');
SET LOCAL session_replication_role = replica;
UPDATE follow_ups SET state = 'open' WHERE branch_id = pg_temp.id('branch');
SET LOCAL session_replication_role = origin;

-- 410: the target retires, this and the others go on, to his next target first, then up the line.
SELECT pg_temp.clear();
SELECT pg_temp.target('am', 'one-b');
SELECT pg_temp.raise('am', 3);
SELECT is(pg_temp.claim(1), 1, 'one of three is sent');
CREATE TEMP TABLE first AS SELECT * FROM held;
SELECT results_eq($$SELECT pg_temp.finish('gone')$$, $$VALUES ('gone one')$$, 'to a target that is gone');
SELECT results_eq($$SELECT retired_at, retired_because FROM targets WHERE target_id = pg_temp.id('one')$$, $$VALUES (now(), 'gone: x')$$, 'it is retired, with what it said');
SELECT is((SELECT subject FROM audit_log WHERE branch_id = pg_temp.id('branch') AND action = 'target-gone'), 'am', 'which is on record');
SELECT results_eq($$SELECT n.state, s.state, s.target_id, s.type, s.step, s.addressee_id, s.recipient_id, s.notification_id <> n.notification_id, s.attempts
                    FROM notifications n JOIN notifications s ON s.passed_on_from = n.notification_id JOIN first f ON f.notification_id = n.notification_id$$,
                  $$VALUES ('passed_on', 'waiting', pg_temp.id('one-b'), 'assigned', 'assigned', pg_temp.id('am'), pg_temp.id('am'), true, 0)$$,
                  'a successor is made for his next one');
SELECT is(pg_temp.claim(), 3, 'the others follow when they are claimed');
SELECT results_eq('SELECT DISTINCT target_id FROM held', $$VALUES (pg_temp.id('one-b'))$$, 'and can be sent at once');
SELECT pg_temp.finish('gone');
SELECT is(pg_temp.claim(), 3, 'when that is gone too');
SELECT results_eq($$SELECT DISTINCT h.target_id, n.addressee_id, n.recipient_id, (h.body::json #>> '{data,recipient}'), (h.body::json #>> '{data,owner}')
                    FROM held h JOIN notifications n USING (branch_id, notification_id)$$,
                  $$VALUES (pg_temp.id('two'), pg_temp.id('am'), pg_temp.id('mm'), 'mm', 'am')$$, 'the next one up the line hears of it');
UPDATE people SET retired_at = now() WHERE person_id = pg_temp.id('mm');
SELECT pg_temp.finish('retry', 0);
SELECT is(pg_temp.claim(), 3, 'and when he leaves');
SELECT results_eq('SELECT DISTINCT target_id FROM held', $$VALUES (pg_temp.id('three'))$$, 'the next');
SELECT pg_temp.finish('gone');
SELECT is((SELECT count(*) FROM notifications WHERE branch_id = pg_temp.id('branch') AND state = 'stranded'), 3::bigint, 'without anybody they are stranded');

-- Adoption.
SET LOCAL ROLE ringback_app;
SELECT is(adopt_stranded(pg_temp.id('branch')), 0, 'nobody to adopt them');
RESET ROLE;
SELECT pg_temp.target('sup', 'four');
UPDATE notifications SET give_up_at = now() WHERE state = 'stranded';
SELECT is(adopt_stranded(pg_temp.id('branch')), 3, 'a new target up the line adopts them');
SELECT is(pg_temp.claim(), 3, 'and gets them');
SELECT results_eq($$SELECT DISTINCT h.target_id, h.body::json #>> '{data,recipient}', h.body::json ->> 'id' = h.notification_id::text, n.give_up_at
                    FROM held h JOIN notifications n USING (branch_id, notification_id)$$,
                  $$VALUES (pg_temp.id('four'), 'sup', true, now() + interval '3 days')$$, 'with his name in them, and all of three days');

-- The slow poll.
SELECT pg_temp.clear();
SELECT pg_temp.raise('sup', 2);
UPDATE notifications SET created_at = now() - interval '1 hour' WHERE state = 'waiting';
UPDATE targets SET failures = 7 WHERE target_id = pg_temp.id('four');
SET LOCAL ROLE ringback_app;
SELECT is((SELECT (waiting, oldest_seconds, given_up)::text FROM watch_outbox()), '(2,3600,0)', 'it counts what waits');
RESET ROLE;
UPDATE notifications SET give_up_at = now() WHERE state = 'waiting';
SELECT is((SELECT (waiting, given_up, failed, breakers_open)::text FROM watch_outbox()), '(0,2,2,1)', 'and gives up what is over while its target is down');
SELECT pg_temp.clear();
UPDATE follow_ups SET owner_id = NULL WHERE branch_id = pg_temp.id('branch') AND follow_up_id = (SELECT min(follow_up_id) FROM follow_ups WHERE branch_id = pg_temp.id('branch'));
SELECT is((SELECT without_owner FROM watch_outbox()), 1::bigint, 'and follow-ups without an owner');

SELECT * FROM finish();
ROLLBACK;
