-- Robots, mail and the console in the outbox: buckets that no number of daemons overdraws, digests, inboxes, tests of targets.
-- One transaction, undone at the end: now() stands still in it, so time passes by moving rows.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-CHANNEL', 'x'));
INSERT INTO people (branch_id, code, name, role) SELECT pg_temp.id('branch'), c, c, 'account_manager' FROM unnest('{am,am-b,am-c,am-d}'::text[]) c;
INSERT INTO people (branch_id, code, name, role) VALUES (pg_temp.id('branch'), 'sup', 'sup', 'supervisor');
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-channel', '\x00');
INSERT INTO ids SELECT 'gateway', gateway_id FROM gateways WHERE name = 'tap-channel';

CREATE FUNCTION pg_temp.target(p_person text, p_channel text, p_address text) RETURNS integer LANGUAGE sql AS $$
    SELECT add_target(pg_temp.id('branch'), p_person, p_channel, p_address, CASE WHEN p_channel NOT IN ('email', 'console') THEN '\x01'::bytea END,
                      'tap', CASE WHEN p_channel NOT IN ('webhook', 'console') THEN p_channel || ':' || p_address END);
    SELECT max(target_id) FROM targets $$;
CREATE FUNCTION pg_temp.raise(p_owner text, p_n integer DEFAULT 1, p_due interval DEFAULT '1 day') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_follow_up bigint; v_reference bigint;
BEGIN
    FOR i IN 1..p_n LOOP
        SELECT reference_of(nextval(reference_sequence)) INTO v_reference FROM branches WHERE branch_id = pg_temp.id('branch');
        INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at)
            VALUES (pg_temp.id('branch'), v_reference, 'complaint', 'x', pg_temp.id('gateway'), now());
        INSERT INTO follow_ups (branch_id, complaint, owner_id, policy_id, raised_at, due_at)
            SELECT branch_id, v_reference, pg_temp.id(p_owner), min(policy_id), now(), now() + p_due FROM policies
            WHERE branch_id = pg_temp.id('branch') GROUP BY 1 RETURNING follow_up_id INTO v_follow_up;
        PERFORM make_notifications(ARRAY[pg_temp.id('branch')], ARRAY[v_follow_up], ARRAY['assigned'], ARRAY['assigned'],
                                   ARRAY[pg_temp.id(p_owner)]);
    END LOOP;
    RETURN v_follow_up;
END $$;
CREATE TEMP TABLE held AS SELECT * FROM claim_notifications(0) LIMIT 0;
GRANT ALL ON held TO PUBLIC;
-- Claims; gives how many notifications in how many messages.
CREATE FUNCTION pg_temp.claim(p_most integer DEFAULT 512, p_mail_rate integer DEFAULT 60) RETURNS text LANGUAGE sql AS $$
    DELETE FROM held;
    WITH got AS (INSERT INTO held SELECT * FROM claim_notifications(p_most, p_mail_rate => p_mail_rate) RETURNING *)
    SELECT count(*) || ' in ' || count(DISTINCT message) + count(*) FILTER (WHERE message IS NULL) FROM got $$;
CREATE FUNCTION pg_temp.finish(p_outcome text, p_rest bigint DEFAULT 0) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT f.what FROM (SELECT array_agg(branch_id) b, array_agg(target_id) t, array_agg(follow_up_id) u, array_agg(notification_id::text) i,
                 array_agg(lease) l, array_agg(p_outcome) o, array_agg(200) s, array_agg('x'::text) e, array_agg(7) m,
                 array_agg(10000::bigint) p, array_agg(p_rest) r FROM held) a
    CROSS JOIN LATERAL finish_attempts(a.b, a.t, a.u, a.i, a.l, a.o, a.s, a.e, a.m, a.p, a.r) f $$;
-- So much time passes for the buckets.
CREATE FUNCTION pg_temp.pass(p_time interval) RETURNS void LANGUAGE sql AS $$
    UPDATE buckets SET filled_at = filled_at - p_time, last_at = last_at - p_time, rest_until = rest_until - p_time;
    UPDATE notifications SET next_attempt_at = next_attempt_at - p_time WHERE state = 'waiting';
    UPDATE targets SET paused_until = paused_until - p_time $$;
CREATE FUNCTION pg_temp.tokens() RETURNS numeric LANGUAGE sql AS $$ SELECT round(tokens::numeric, 2) FROM buckets WHERE bucket LIKE 'wecom:%' $$;

-- A lone notification goes at once, with the deadline in the branch's own time.
SELECT pg_temp.target('am', 'wecom', 'robot');
SELECT pg_temp.raise('am');
SET LOCAL ROLE ringback_app;
SELECT is(pg_temp.claim(), '1 in 1', 'the first one goes at once');
RESET ROLE;
SELECT is((SELECT due FROM held), to_char((now() + interval '1 day') AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI'), 'with its deadline in words');
SELECT is(pg_temp.tokens(), 4.00, 'and takes a token');
SELECT pg_temp.raise('am', 3);
SELECT pg_temp.pass('11 seconds');
SELECT is(pg_temp.claim(), '0 in 0', 'nothing else goes while one is in flight');
SELECT leased_until FROM notifications WHERE state = 'sending';
INSERT INTO held SELECT n.notification_id, n.branch_id, n.follow_up_id, n.target_id, n.lease, 1, 'wecom', 'robot', '\x01', '', 1, '' FROM notifications n WHERE state = 'sending';
SET LOCAL ROLE ringback_app;
SELECT is_empty($$SELECT pg_temp.finish('delivered')$$, 'it arrives');
RESET ROLE;
SELECT is(pg_temp.claim(), '3 in 1', 'then all that came meanwhile goes as one message');
SELECT pg_temp.finish('delivered');
SELECT pg_temp.raise('am', 2);
SELECT is(pg_temp.claim(), '0 in 0', 'what comes now is gathered');
SELECT pg_temp.pass('10 seconds');
SELECT is(pg_temp.claim(), '2 in 1', 'for ten seconds');
SELECT pg_temp.finish('delivered');
SELECT is((SELECT count(*) FROM notification_attempts WHERE branch_id = pg_temp.id('branch')), 6::bigint, 'each notification has its attempt');

-- A storm: full messages follow each other, but never more than the bucket holds.
SELECT pg_temp.pass('10 minutes');
SELECT pg_temp.raise('am', 400, '2 days');
SELECT pg_temp.raise('am', 1, '1 hour');
SELECT is(pg_temp.claim(), '50 in 1', 'a message lists fifty at the most');
SELECT pg_temp.finish('delivered');
DO $$
DECLARE
    v_sent integer := 1;
BEGIN
    FOR second IN 0..120 LOOP
        IF pg_temp.claim() LIKE '% in 1' THEN
            PERFORM pg_temp.finish('delivered');
            v_sent := v_sent + 1;
            IF second < 60 THEN
                UPDATE ids SET id = v_sent WHERE name = 'sent';
                IF NOT FOUND THEN INSERT INTO ids VALUES ('sent', v_sent); END IF;
            END IF;
        END IF;
        PERFORM pg_temp.pass('1 second');
        IF second < 60 THEN PERFORM pg_temp.raise('am', 30); END IF;
    END LOOP;
END $$;
SELECT cmp_ok(pg_temp.id('sent'), '<=', 18, 'in a minute fewer than twenty messages go to a robot');
SELECT cmp_ok(pg_temp.id('sent'), '>=', 14, 'but nearly as many, when there is so much to say');

-- Throttled all the same (somebody else sends there too): the robot rests, for every person who is behind it.
UPDATE notifications SET state = 'cancelled' WHERE state = 'waiting';
SELECT pg_temp.pass('10 minutes');
SELECT pg_temp.target('am-b', 'wecom', 'robot');
SELECT pg_temp.raise('am', 1, '1 hour');
SELECT pg_temp.raise('am-b', 1, '10 minutes');
SELECT is(pg_temp.claim(), '2 in 1', 'two people behind one robot hear in one message');
SELECT results_eq('SELECT row_number() OVER () FROM held h JOIN follow_ups f USING (branch_id, follow_up_id) ORDER BY f.due_at',
                  'VALUES (1::bigint), (2)', 'what is due first stands first');
SELECT pg_temp.finish('retry', 60000);
SELECT pg_temp.pass('59 seconds');
SELECT is(pg_temp.claim(), '0 in 0', 'a robot that says "too much" is left alone');
SELECT pg_temp.raise('am-b');
SELECT is(pg_temp.claim(), '0 in 0', 'by everybody');
SELECT pg_temp.pass('2 seconds');
SELECT is(pg_temp.claim(), '3 in 1', 'until its rest is over');
SELECT results_eq($$SELECT DISTINCT what FROM pg_temp.finish('gone') x (what)$$, $$VALUES ('gone')$$, 'a robot that is gone');
SELECT is((SELECT count(*) FROM targets WHERE branch_id = pg_temp.id('branch') AND retired_because = 'gone: x'), 2::bigint, 'retires the targets behind it, with its words');
SELECT is((SELECT count(*) FROM notifications WHERE branch_id = pg_temp.id('branch') AND state = 'stranded'), 3::bigint, 'what it had is passed on; nobody has another target');

-- A crash: the digest is sent again, each under its new token.
SELECT pg_temp.target('am', 'dingtalk', 'robot');
SELECT pg_temp.claim();
SELECT is((SELECT count(*) FROM held), 1::bigint, 'am''s one is adopted');
UPDATE notifications SET leased_until = now() - interval '1 second' WHERE state = 'sending';
SELECT pg_temp.pass('10 seconds');
SELECT is(pg_temp.claim(), '1 in 1', 'what a dead daemon held is sent again');
SELECT is((SELECT lease FROM held), 2::bigint, 'under a new token');
SELECT pg_temp.finish('rejected');
SELECT is((SELECT count(*) FROM notifications WHERE branch_id = pg_temp.id('branch') AND state = 'failed'), 1::bigint,
          'a message that will never be taken is given up at once');

-- Mail: mailboxes have their own rhythm, and the relay's limit holds for all of them.
SELECT pg_temp.target(p, 'email', p || '@a.test') FROM unnest('{am-b,am-c,am-d,sup}'::text[]) p;
SELECT pg_temp.claim();
SELECT pg_temp.finish('delivered');
SELECT pg_temp.pass('10 minutes');
SELECT pg_temp.raise(p, 2) FROM unnest('{am-b,am-c,am-d,sup}'::text[]) p;
SELECT is(pg_temp.claim(512, 18), '6 in 3', 'the relay takes three at once at eighteen a minute');
SELECT pg_temp.finish('delivered');
SELECT is(pg_temp.claim(512, 18), '0 in 0', 'no more for now');
SELECT pg_temp.pass('4 seconds');
SELECT is(pg_temp.claim(512, 18), '2 in 1', 'and the next one a little later, to whom none went yet');
SELECT is((SELECT count(*) FROM held WHERE sealed_secret IS NOT NULL), 0::bigint, 'an address needs no secret');
SELECT pg_temp.finish('delivered');

-- A relay that hangs: at most sixteen mails are with it.
INSERT INTO people (branch_id, code, name, role) SELECT pg_temp.id('branch'), 'mail-' || i, 'x', 'account_manager' FROM generate_series(1, 30) i;
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch') AND code LIKE 'mail-%';
SELECT pg_temp.target('mail-' || i, 'email', 'mail-' || i || '@a.test') FROM generate_series(1, 30) i;
SELECT pg_temp.raise('mail-' || i) FROM generate_series(1, 30) i;
SELECT pg_temp.pass('10 minutes');
CREATE TEMP TABLE kept AS SELECT * FROM held LIMIT 0;
SELECT is(pg_temp.claim(5120, 6000), '16 in 16', 'sixteen are claimed');
INSERT INTO kept SELECT * FROM held;
SELECT is(pg_temp.claim(5120, 6000), '0 in 0', 'and no more while they are with it');
INSERT INTO held SELECT * FROM kept;
SELECT pg_temp.finish('delivered');
SELECT is(pg_temp.claim(5120, 6000), '14 in 14', 'then the rest');
SELECT pg_temp.finish('delivered');

-- The console: filed, never claimed; delivered when it was seen.
SELECT retire_target(branch_id, target_id::text, 'tap') FROM targets WHERE branch_id = pg_temp.id('branch') AND retired_at IS NULL;
UPDATE notifications SET state = 'cancelled' WHERE state = 'waiting';
SELECT pg_temp.target('am', 'console', 'console');
SELECT pg_temp.target('sup', 'webhook', 'http://h/');
SELECT pg_temp.raise('am', 2);
SELECT is(pg_temp.claim(), '0 in 0', 'nothing is claimed for the console');
SELECT is((SELECT string_agg(DISTINCT n.state, ',') FROM inbox i JOIN notifications n USING (branch_id, notification_id)
           WHERE i.person_id = pg_temp.id('am')), 'inbox', 'it is in the inbox');
SELECT is((SELECT count(*) FROM inbox WHERE person_id = pg_temp.id('am')), 2::bigint, 'each once');
SELECT is((SELECT waiting FROM watch_outbox()), 0::bigint, 'and waits for nobody but its person');
SELECT retire_target(pg_temp.id('branch'), target_id::text, 'tap') FROM targets WHERE branch_id = pg_temp.id('branch') AND channel = 'console';
SELECT is(pg_temp.claim(), '2 in 2', 'without the console it goes up the line');
SELECT is((SELECT count(*) FROM inbox WHERE withdrawn_at IS NOT NULL), 2::bigint, 'and is withdrawn');
SELECT pg_temp.finish('delivered');
SELECT pg_temp.target('am', 'console', 'console');
SELECT pg_temp.raise('am');
SELECT pg_temp.claim();
UPDATE people SET retired_at = now() WHERE person_id = pg_temp.id('am');
SELECT watch_outbox();
SELECT is(pg_temp.claim(), '1 in 1', 'nor does it stay with somebody who left');
SELECT pg_temp.finish('delivered');

-- Order and tests of targets.
SELECT pg_temp.target('am-b', 'webhook', 'http://h/' || i) FROM generate_series(1, 3) i;
CREATE FUNCTION pg_temp.order_of() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(right(address, 1), '' ORDER BY position) FROM targets WHERE person_id = pg_temp.id('am-b') AND retired_at IS NULL $$;
CREATE FUNCTION pg_temp.number_of(p text) RETURNS text LANGUAGE sql AS $$
    SELECT target_id::text FROM targets WHERE person_id = pg_temp.id('am-b') AND retired_at IS NULL AND address = 'http://h/' || p $$;
SELECT is(pg_temp.order_of(), '123', 'in the order they came');
SELECT move_target(pg_temp.id('branch'), pg_temp.number_of('3'), '1', 'tap');
SELECT is(pg_temp.order_of(), '312', 'to the front');
SELECT move_target(pg_temp.id('branch'), pg_temp.number_of('3'), '2', 'tap');
SELECT is(pg_temp.order_of(), '132', 'to the middle');
SELECT move_target(pg_temp.id('branch'), pg_temp.number_of('1'), '99', 'tap');
SELECT is(pg_temp.order_of(), '321', 'to the end');
SELECT throws_ok($$SELECT move_target(pg_temp.id('branch'), pg_temp.number_of('1'), '0', 'tap')$$, 'P0001', NULL, 'places begin at 1');
SELECT test_target(pg_temp.id('branch'), pg_temp.number_of('1'), 'tap');
SELECT throws_ok($$SELECT test_target(pg_temp.id('branch'), pg_temp.number_of('1'), 'tap')$$, 'P0001', NULL, 'one test at a time');
SELECT is(pg_temp.claim(), '1 in 1', 'a test is claimed');
SELECT is((SELECT (follow_up_id, body::json ->> 'type')::text FROM held), '(0,ringback.target.test)', 'as what it is');
SELECT is(pg_temp.claim(), '0 in 0', 'once');
INSERT INTO held SELECT x.test_id, x.branch_id, 0, x.target_id, x.lease, 1, 'webhook', '', '\x01', '', NULL, NULL FROM target_tests x;
SELECT is_empty($$SELECT pg_temp.finish('retry')$$, 'its failure');
SELECT is((SELECT (outcome, status, error)::text FROM target_tests), '(not_delivered,200,x)', 'is on record');
SELECT is((SELECT failures FROM targets WHERE target_id = pg_temp.number_of('1')::integer), 0, 'and blames nobody');

SELECT * FROM finish();
ROLLBACK;
