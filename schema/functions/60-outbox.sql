-- The outbox going out: daemons claim notifications with a lease and report how each attempt ended. Any number of them do
-- so side by side; an outcome counts only with the current lease, so one that comes too late changes nothing.
--
-- A notification: waiting → sending (claimed) → delivered; or waiting again (retry), failed (three days are over), passed_on
-- (its target is gone), cancelled (its follow-up is closed). "This message failed" is in its row; "this target is down" is the
-- breaker in the target's: after five failures in a row it is paused, a second at first, up to twenty, and then probed by one
-- notification at a time until one gets through.
--
-- Three ways lead out. Direct (webhooks): each notification is a message, at most 32 in flight for a target. Paced (robots and
-- mail): what waits for one bucket goes as one message, one in flight, within the bucket's limit. The console: filed in its
-- person's inbox; what his browser shows is delivered (schema/functions/87-api-inbox.sql).
--
-- Lock order: rows of targets by (branch, target); rows of notifications; rows of buckets. Claims take advisory locks, never
-- wait for them, and skip rows that are locked.
--
-- These functions run hundreds of times a second on tables whose statistics are always out of date: their plans are pinned to
-- the indexes and made once a session. Where a row is looked up by its key its state is asked in a CASE, or the planner takes
-- the index of that state for the better one while it believes it to be nearly empty.

CREATE OR REPLACE FUNCTION breaker_opens_at() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 5 $$;
COMMENT ON FUNCTION breaker_opens_at() IS 'So many failures in a row pause a target.';

CREATE OR REPLACE FUNCTION breaker_pause(p_failures integer) RETURNS interval LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
    SELECT interval '1 second' * (least(20, 2 ^ least(p_failures - breaker_opens_at(), 5)) * (0.75 + random() / 4))
$$;
COMMENT ON FUNCTION breaker_pause(integer) IS 'How long a target rests after so many failures in a row: 1 s, doubled up to 20 s, less a jitter.';

CREATE OR REPLACE FUNCTION target_lock(p_branch integer, p_target integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashint8extended(p_branch::bigint << 32 | p_target::bigint, 7236)
$$;
COMMENT ON FUNCTION target_lock(integer, integer) IS 'The advisory lock under which a target''s notifications are claimed.';

CREATE OR REPLACE FUNCTION targets_with_work()
RETURNS TABLE (branch_id integer, target_id integer, first_at timestamptz) LANGUAGE sql STABLE AS $$
    -- One probe of the index for each target, however many rows wait for it.
    WITH RECURSIVE head AS (
        (SELECT n.branch_id, n.target_id, n.next_attempt_at FROM notifications n
            WHERE n.state = 'waiting' ORDER BY n.branch_id, n.target_id, n.next_attempt_at LIMIT 1)
        UNION ALL
        SELECT h.* FROM head CROSS JOIN LATERAL (
            SELECT n.branch_id, n.target_id, n.next_attempt_at FROM notifications n
            WHERE n.state = 'waiting' AND (n.branch_id, n.target_id) > (head.branch_id, head.target_id)
            ORDER BY n.branch_id, n.target_id, n.next_attempt_at LIMIT 1) h
    )
    SELECT head.branch_id, head.target_id, head.next_attempt_at FROM head
$$;
COMMENT ON FUNCTION targets_with_work() IS 'Targets for which notifications wait, with the time of the first.';

CREATE OR REPLACE FUNCTION pass_on(p_branch integer[], p_follow_up bigint[], p_id uuid[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_made integer;
BEGIN
    WITH passed AS (
        UPDATE notifications n
            SET state = CASE f.state WHEN 'closed' THEN 'cancelled' ELSE 'passed_on' END, finished_at = now()
            FROM unnest(p_branch, p_follow_up, p_id) AS x (branch, follow_up, id), follow_ups f
            WHERE n.branch_id = x.branch AND n.follow_up_id = x.follow_up AND n.notification_id = x.id
              AND CASE WHEN n.state = 'waiting' THEN true END
              AND f.branch_id = n.branch_id AND f.follow_up_id = n.follow_up_id
            RETURNING n.*)
    SELECT make_notifications(array_agg(n.branch_id), array_agg(n.follow_up_id), array_agg(n.type), array_agg(n.step),
                              array_agg(n.addressee_id), array_agg(n.notification_id))
        INTO v_made FROM passed n WHERE n.state = 'passed_on' HAVING count(*) > 0;
    RETURN coalesce(v_made, 0);
END $$;
COMMENT ON FUNCTION pass_on(integer[], bigint[], uuid[]) IS
    'Ends waiting notifications of a target that is gone and makes a successor of each for the next one up the line.';

CREATE OR REPLACE FUNCTION file_in_inbox(p_branch integer[], p_target integer[], p_most integer) RETURNS void
LANGUAGE sql AS $$
    WITH filed AS (
        UPDATE notifications n
            SET state = CASE WHEN f.state = 'closed' AND n.type <> 'closed' THEN 'cancelled' ELSE 'inbox' END,
                finished_at = CASE WHEN f.state = 'closed' AND n.type <> 'closed' THEN now() END
            FROM (SELECT w.row FROM unnest(p_branch, p_target) AS x (branch, target)
                  CROSS JOIN LATERAL (SELECT w.ctid AS row FROM notifications w
                      WHERE w.branch_id = x.branch AND w.target_id = x.target AND w.state = 'waiting'
                      LIMIT p_most FOR NO KEY UPDATE SKIP LOCKED) w
                  LIMIT p_most) k, follow_ups f
            WHERE n.ctid = k.row AND f.branch_id = n.branch_id AND f.follow_up_id = n.follow_up_id
            RETURNING n.*)
    INSERT INTO inbox (branch_id, person_id, follow_up_id, notification_id)
    SELECT n.branch_id, t.person_id, n.follow_up_id, n.notification_id
    FROM filed n JOIN targets t USING (branch_id, target_id)
    WHERE n.state = 'inbox' ORDER BY n.created_at, n.follow_up_id
$$;
COMMENT ON FUNCTION file_in_inbox(integer[], integer[], integer) IS 'Files what waits for these console targets in their people''s inboxes.';

CREATE OR REPLACE FUNCTION finish_tests(p_branch integer[], p_follow_up bigint[], p_id text[], p_lease bigint[], p_outcome text[],
                                        p_status integer[], p_error text[], p_rest bigint[]) RETURNS void
LANGUAGE sql AS $$
    UPDATE buckets b SET rest_until = greatest(b.rest_until, now() + interval '1 millisecond' * x.rest)
        FROM unnest(p_branch, p_follow_up, p_id, p_rest) AS x (branch, follow_up, id, rest)
        JOIN target_tests t ON t.branch_id = x.branch AND t.test_id = x.id::uuid
        JOIN targets g USING (branch_id, target_id)
        WHERE x.follow_up = 0 AND x.rest > 0 AND b.branch_id = g.branch_id AND b.bucket = g.bucket;
    UPDATE target_tests t
        SET finished_at = CASE WHEN x.outcome <> 'returned' THEN now() END, status = x.status, error = x.error,
            outcome = CASE x.outcome WHEN 'returned' THEN NULL WHEN 'delivered' THEN 'delivered' ELSE 'not_delivered' END,
            leased_until = CASE WHEN x.outcome <> 'returned' THEN t.leased_until END
        FROM unnest(p_branch, p_follow_up, p_id, p_lease, p_outcome, p_status, p_error)
            AS x (branch, follow_up, id, lease, outcome, status, error)
        WHERE x.follow_up = 0 AND t.branch_id = x.branch AND t.test_id = x.id::uuid AND t.lease = x.lease AND t.finished_at IS NULL
$$;
COMMENT ON FUNCTION finish_tests(integer[], bigint[], text[], bigint[], text[], integer[], text[], bigint[]) IS
    'Records how messages that try targets out ended; they are sent once.';

-- Limits of robots: 20 messages a minute, then WeCom refuses and DingTalk blocks for ten minutes. A bucket of five that gets one
-- every five seconds lets at most 17 through in any minute, whatever other programs of the house send there.
CREATE OR REPLACE FUNCTION tokens_at(p_bucket buckets, p_mail_rate integer) RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_bucket.bucket = 'email' THEN least(greatest(1, p_mail_rate / 6.0), p_bucket.tokens + x.minutes * p_mail_rate)
                ELSE least(5, p_bucket.tokens + x.minutes * 12) END
    FROM (SELECT greatest(0, extract(epoch FROM now() - p_bucket.filled_at) / 60)::double precision AS minutes) x
$$;
COMMENT ON FUNCTION tokens_at(buckets, integer) IS 'How many messages the bucket would take now; the mail relay''s rate a minute is the daemon''s setting.';

CREATE OR REPLACE FUNCTION digest_most() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 50 $$;
COMMENT ON FUNCTION digest_most() IS 'So many notifications are listed in one message at the most.';

CREATE OR REPLACE FUNCTION digest_gap() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT interval '10 seconds' $$;
COMMENT ON FUNCTION digest_gap() IS 'After a message to a robot or mailbox what comes is gathered for so long, unless it fills a message.';

CREATE OR REPLACE FUNCTION claim_messages(p_most integer, p_lease interval, p_mail_rate integer, p_branch integer[], p_bucket text[])
RETURNS TABLE (notification_id uuid, branch_id integer, follow_up_id bigint, target_id integer, lease bigint, attempt integer,
               channel text, address text, sealed_secret bytea, body text, message bigint, due text)
LANGUAGE plpgsql ROWS 64 AS $$
#variable_conflict use_column
DECLARE
    v_branch integer[];
    v_bucket text[];
BEGIN
    INSERT INTO buckets (branch_id, bucket)
        SELECT DISTINCT x.branch, y.bucket FROM unnest(p_branch, p_bucket) AS x (branch, bucket)
        CROSS JOIN LATERAL (VALUES (x.bucket), (CASE WHEN x.bucket LIKE 'email:%' THEN 'email' END)) y (bucket)
        WHERE y.bucket IS NOT NULL AND NOT EXISTS (SELECT FROM buckets b WHERE b.branch_id = x.branch AND b.bucket = y.bucket)
        ORDER BY 1, 2 ON CONFLICT DO NOTHING;

    -- Whoever has a bucket's row has the bucket; others find it empty or in flight afterwards.
    SELECT array_agg(q.branch_id), array_agg(q.bucket) INTO v_branch, v_bucket
    FROM (SELECT b.branch_id, b.bucket FROM buckets b
          WHERE (b.branch_id, b.bucket) IN (SELECT x.branch, y.bucket FROM unnest(p_branch, p_bucket) AS x (branch, bucket)
                    CROSS JOIN LATERAL (VALUES (x.bucket), (CASE WHEN x.bucket LIKE 'email:%' THEN 'email' END)) y (bucket))
            AND (b.rest_until IS NULL OR b.rest_until <= now()) AND tokens_at(b, p_mail_rate) >= 1
          ORDER BY b.branch_id, b.bucket FOR NO KEY UPDATE SKIP LOCKED) q;

    RETURN QUERY
    WITH held AS MATERIALIZED (
        SELECT b.*, tokens_at(b, p_mail_rate) AS now_tokens,
               row_number() OVER (PARTITION BY b.branch_id, b.bucket LIKE 'email:%' ORDER BY b.last_at NULLS FIRST) AS turn
        FROM unnest(v_branch, v_bucket) AS x (branch, bucket)
        JOIN buckets b ON b.branch_id = x.branch AND b.bucket = x.bucket
        WHERE b.bucket = 'email'
           OR (NOT EXISTS (SELECT FROM targets t
                           JOIN notifications s ON s.branch_id = t.branch_id AND s.target_id = t.target_id AND s.state = 'sending'
                           WHERE t.branch_id = b.branch_id AND t.bucket = b.bucket AND t.retired_at IS NULL)
               AND (b.last_at IS NULL OR b.last_at <= now() - digest_gap() OR digest_most() <= (
                   SELECT count(*) FROM (SELECT FROM targets t
                           JOIN notifications n ON n.branch_id = t.branch_id AND n.target_id = t.target_id AND n.state = 'waiting'
                           WHERE t.branch_id = b.branch_id AND t.bucket = b.bucket AND t.retired_at IS NULL
                             AND n.next_attempt_at <= now() LIMIT digest_most()) q)))
    ), mailing AS (
        -- They all go to one relay: when that hangs, it must not take the connections of everybody else.
        SELECT s.branch_id, count(DISTINCT t.bucket) AS n FROM notifications s JOIN targets t USING (branch_id, target_id)
        WHERE s.state = 'sending' AND t.channel = 'email' GROUP BY 1
    ), ready AS (
        SELECT h.branch_id, h.bucket, row_number() OVER (ORDER BY h.branch_id, h.bucket) AS message
        FROM held h
        WHERE h.bucket <> 'email' AND (h.bucket NOT LIKE 'email:%' OR h.turn <= coalesce(
            (SELECT least(floor(r.now_tokens), 16 - coalesce((SELECT m.n FROM mailing m WHERE m.branch_id = h.branch_id), 0))
             FROM held r WHERE r.branch_id = h.branch_id AND r.bucket = 'email'), 0))
        LIMIT greatest(1, p_most / digest_most())
    ), picked AS MATERIALIZED (
        SELECT n.row, r.bucket, r.message, n.channel, n.address, n.sealed_secret, b.timezone
        FROM ready r
        JOIN branches b USING (branch_id)
        CROSS JOIN LATERAL (
            SELECT n.ctid AS row, t.channel, t.address, t.sealed_secret FROM targets t
            JOIN people p ON p.branch_id = t.branch_id AND p.person_id = t.person_id AND p.retired_at IS NULL
            JOIN notifications n ON n.branch_id = t.branch_id AND n.target_id = t.target_id
            WHERE t.branch_id = r.branch_id AND t.bucket = r.bucket AND t.retired_at IS NULL
              AND (t.paused_until IS NULL OR t.paused_until <= now()) AND n.state = 'waiting' AND n.next_attempt_at <= now()
            ORDER BY n.next_attempt_at LIMIT digest_most() FOR NO KEY UPDATE OF n SKIP LOCKED) n
    ), claimed AS (
        UPDATE notifications n
            SET state = CASE WHEN f.state = 'closed' AND n.type <> 'closed' THEN 'cancelled' ELSE 'sending' END,
                finished_at = CASE WHEN f.state = 'closed' AND n.type <> 'closed' THEN now() END,
                lease = n.lease + 1, leased_until = now() + p_lease, attempts = n.attempts + 1
            FROM picked k, follow_ups f
            WHERE n.ctid = k.row AND f.branch_id = n.branch_id AND f.follow_up_id = n.follow_up_id
            RETURNING n.*, k.bucket, k.channel, k.address, k.sealed_secret, k.message, f.due_at,
                      to_char(f.due_at AT TIME ZONE k.timezone, 'YYYY-MM-DD HH24:MI') AS due
    ), sent AS (
        SELECT c.branch_id, c.bucket FROM claimed c WHERE c.state = 'sending' GROUP BY 1, 2
    ), spent AS (
        UPDATE buckets b SET tokens = h.now_tokens - s.n, filled_at = now(), last_at = now()
            FROM held h JOIN (SELECT branch_id, bucket, 1 AS n FROM sent
                              UNION ALL SELECT branch_id, 'email', count(*)::integer FROM sent WHERE bucket LIKE 'email:%' GROUP BY 1) s
                USING (branch_id, bucket)
            WHERE b.branch_id = h.branch_id AND b.bucket = h.bucket
    )
    SELECT c.notification_id, c.branch_id, c.follow_up_id, c.target_id, c.lease, c.attempts, c.channel, c.address, c.sealed_secret,
           c.body, c.message, c.due
    FROM claimed c WHERE c.state = 'sending' ORDER BY c.message, c.due_at, c.follow_up_id;
END $$;
COMMENT ON FUNCTION claim_messages(integer, interval, integer, integer[], text[]) IS
    'Leases what waits for robots and mailboxes, of each bucket as much as one message lists, and takes the tokens for it.';

CREATE OR REPLACE FUNCTION claim_tests(p_mail_rate integer, p_lease interval)
RETURNS TABLE (notification_id uuid, branch_id integer, target_id integer, lease bigint, channel text, address text,
               sealed_secret bytea, body text)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
BEGIN
    UPDATE target_tests x SET finished_at = now(), outcome = CASE WHEN x.leased_until IS NULL THEN 'not_tried' ELSE 'not_delivered' END,
                              error = CASE WHEN x.leased_until IS NULL THEN 'nobody took it in time' ELSE 'the daemon ended meanwhile' END
        WHERE x.finished_at IS NULL AND coalesce(x.leased_until < now(), x.asked_at < now() - interval '10 minutes');
    RETURN QUERY
    WITH picked AS (
        SELECT x.ctid AS row, t.channel, t.address, t.sealed_secret, t.bucket
        FROM target_tests x JOIN targets t USING (branch_id, target_id)
        LEFT JOIN buckets b ON b.branch_id = t.branch_id AND b.bucket = t.bucket
        WHERE x.finished_at IS NULL AND x.leased_until IS NULL
          AND (b.bucket IS NULL OR ((b.rest_until IS NULL OR b.rest_until <= now()) AND tokens_at(b, p_mail_rate) >= 1))
        ORDER BY x.asked_at LIMIT 1 FOR NO KEY UPDATE OF x SKIP LOCKED
    ), spent AS (
        INSERT INTO buckets AS b (branch_id, bucket, tokens, last_at)
        SELECT x.branch_id, k.bucket, 4, now() FROM picked k JOIN target_tests x ON x.ctid = k.row WHERE k.bucket IS NOT NULL
        ON CONFLICT (branch_id, bucket) DO UPDATE SET tokens = tokens_at(b, p_mail_rate) - 1, filled_at = now(), last_at = now()
    )
    UPDATE target_tests x SET lease = x.lease + 1, leased_until = now() + p_lease FROM picked k WHERE x.ctid = k.row
        RETURNING x.test_id, x.branch_id, x.target_id, x.lease, k.channel, k.address, k.sealed_secret, x.body;
END $$;
COMMENT ON FUNCTION claim_tests(integer, interval) IS 'Leases a message that tries a target out; ends those that nobody took or finished.';

-- p_busy_*: targets of which the daemon holds notifications already, and how many more of theirs it would take. Rows with the
-- same message go out as one; null: alone.
CREATE OR REPLACE FUNCTION claim_notifications(p_most integer, p_lease interval DEFAULT '60 seconds',
    p_busy_branch integer[] DEFAULT '{}', p_busy_target integer[] DEFAULT '{}', p_busy_room integer[] DEFAULT '{}',
    p_mail_rate integer DEFAULT 60)
RETURNS TABLE (notification_id uuid, branch_id integer, follow_up_id bigint, target_id integer, lease bigint, attempt integer,
               channel text, address text, sealed_secret bytea, body text, message bigint, due text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp ROWS 64
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    v_branch integer[];
    v_target integer[];
    v_room integer[];
    v_channel text[];
    v_address text[];
    v_secret bytea[];
    v_gone_branch integer[];
    v_gone_target integer[];
    v_paced_branch integer[];
    v_paced_bucket text[];
    v_desk_branch integer[];
    v_desk_target integer[];
BEGIN
    UPDATE notifications SET state = 'waiting', leased_until = NULL
    WHERE ctid = ANY (ARRAY(SELECT n.ctid FROM notifications n
        WHERE n.state = 'sending' AND n.leased_until < now() FOR NO KEY UPDATE SKIP LOCKED));

    IF EXISTS (SELECT FROM target_tests x WHERE x.finished_at IS NULL) THEN
        RETURN QUERY SELECT x.notification_id, x.branch_id, 0::bigint, x.target_id, x.lease, 1, x.channel, x.address, x.sealed_secret,
                            x.body, NULL::bigint, NULL::text FROM claim_tests(p_mail_rate, p_lease) x;
    END IF;

    FOR survey IN 1..2 LOOP
        SELECT array_agg(q.branch_id ORDER BY q.first_at) FILTER (WHERE q.way = 'direct'),
               array_agg(q.target_id ORDER BY q.first_at) FILTER (WHERE q.way = 'direct'),
               array_agg(q.room ORDER BY q.first_at) FILTER (WHERE q.way = 'direct'),
               array_agg(q.channel ORDER BY q.first_at) FILTER (WHERE q.way = 'direct'),
               array_agg(q.address ORDER BY q.first_at) FILTER (WHERE q.way = 'direct'),
               array_agg(q.sealed_secret ORDER BY q.first_at) FILTER (WHERE q.way = 'direct'),
               array_agg(q.branch_id) FILTER (WHERE q.way = 'gone'), array_agg(q.target_id) FILTER (WHERE q.way = 'gone'),
               array_agg(q.branch_id) FILTER (WHERE q.way = 'paced'), array_agg(q.bucket) FILTER (WHERE q.way = 'paced'),
               array_agg(q.branch_id) FILTER (WHERE q.way = 'desk'), array_agg(q.target_id) FILTER (WHERE q.way = 'desk')
            INTO v_branch, v_target, v_room, v_channel, v_address, v_secret, v_gone_branch, v_gone_target, v_paced_branch,
                 v_paced_bucket, v_desk_branch, v_desk_target
        FROM (SELECT w.branch_id, w.target_id, w.first_at, t.channel, t.address, t.sealed_secret, t.bucket,
                     CASE WHEN t.retired_at IS NOT NULL OR p.retired_at IS NOT NULL THEN 'gone'
                          WHEN t.channel = 'webhook' THEN 'direct' WHEN t.bucket IS NOT NULL THEN 'paced' ELSE 'desk' END AS way,
                     least(CASE WHEN t.failures >= breaker_opens_at() THEN 1 ELSE 32 END, b.room) AS room,
                     w.first_at <= now() AND (t.paused_until IS NULL OR t.paused_until <= now()) AS ready
              FROM targets_with_work() w
              JOIN targets t ON t.branch_id = w.branch_id AND t.target_id = w.target_id
              JOIN people p ON p.branch_id = t.branch_id AND p.person_id = t.person_id
              LEFT JOIN unnest(p_busy_branch, p_busy_target, p_busy_room) AS b (branch, target, room)
                  ON b.branch = w.branch_id AND b.target = w.target_id) q
        WHERE q.way = 'gone' OR (q.ready AND q.room > 0);
        EXIT WHEN v_gone_branch IS NULL OR survey = 2;
        -- Of targets that are gone, a part at a time, so that a long queue never makes a long transaction.
        PERFORM pass_on(array_agg(q.branch_id), array_agg(q.follow_up_id), array_agg(q.notification_id))
        FROM (SELECT n.branch_id, n.follow_up_id, n.notification_id
              FROM unnest(v_gone_branch, v_gone_target) AS x (branch, target)
              CROSS JOIN LATERAL (SELECT n.branch_id, n.follow_up_id, n.notification_id FROM notifications n
                  WHERE n.branch_id = x.branch AND n.target_id = x.target AND n.state = 'waiting'
                  LIMIT p_most FOR NO KEY UPDATE SKIP LOCKED) n
              LIMIT p_most) q;
    END LOOP;
    IF v_desk_branch IS NOT NULL THEN
        PERFORM file_in_inbox(v_desk_branch, v_desk_target, p_most);
    END IF;
    IF v_paced_branch IS NOT NULL THEN
        RETURN QUERY SELECT * FROM claim_messages(p_most, p_lease, p_mail_rate, v_paced_branch, v_paced_bucket);
    END IF;
    IF v_branch IS NULL THEN
        RETURN;
    END IF;

    -- Whoever claims for a target does so alone: what is in flight is counted by the next statement, hence after the others'
    -- claims were committed. The targets that waited longest come first.
    SELECT array_agg(x.branch), array_agg(x.target), array_agg(x.room), array_agg(x.channel), array_agg(x.address),
           array_agg(x.secret)
        INTO v_branch, v_target, v_room, v_channel, v_address, v_secret
    FROM unnest(v_branch[1:p_most], v_target[1:p_most], v_room[1:p_most], v_channel[1:p_most], v_address[1:p_most],
                v_secret[1:p_most]) AS x (branch, target, room, channel, address, secret)
    WHERE pg_try_advisory_xact_lock(target_lock(x.branch, x.target));

    -- By ctid, since the rows were locked just now.
    RETURN QUERY
    WITH picked AS MATERIALIZED (
        SELECT n.row, n.follow_up_id, x.channel, x.address, x.secret
        FROM unnest(v_branch, v_target, v_room, v_channel, v_address, v_secret)
            AS x (branch, target, room, channel, address, secret)
        CROSS JOIN LATERAL (
            SELECT least(x.room - count(*), (p_most + cardinality(v_branch) - 1) / cardinality(v_branch)) AS room
            FROM notifications s
            WHERE s.branch_id = x.branch AND s.target_id = x.target AND s.state = 'sending') q
        CROSS JOIN LATERAL (
            SELECT n.ctid AS row, n.follow_up_id FROM notifications n
            WHERE n.branch_id = x.branch AND n.target_id = x.target AND n.state = 'waiting' AND n.next_attempt_at <= now()
            ORDER BY n.next_attempt_at LIMIT greatest(q.room, 0) FOR NO KEY UPDATE SKIP LOCKED) n
        LIMIT p_most
    ), claimed AS (
        UPDATE notifications n
            SET state = CASE WHEN f.state = 'closed' AND n.type <> 'closed' THEN 'cancelled' ELSE 'sending' END,
                finished_at = CASE WHEN f.state = 'closed' AND n.type <> 'closed' THEN now() END,
                lease = n.lease + 1, leased_until = now() + p_lease, attempts = n.attempts + 1
            FROM picked k, follow_ups f
            WHERE n.ctid = k.row AND f.branch_id = n.branch_id AND f.follow_up_id = n.follow_up_id
            RETURNING n.notification_id, n.branch_id, n.follow_up_id, n.target_id, n.lease, n.attempts, k.channel, k.address, k.secret,
                      n.body, n.state
    )
    SELECT c.notification_id, c.branch_id, c.follow_up_id, c.target_id, c.lease, c.attempts, c.channel, c.address, c.secret, c.body,
           NULL::bigint, NULL::text
    FROM claimed c WHERE c.state = 'sending';
END $$;
REVOKE EXECUTE ON FUNCTION claim_notifications FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_notifications TO ringback_app;
COMMENT ON FUNCTION claim_notifications IS
    'Leases due notifications to a daemon, fairly between targets, at most 32 in flight for one; rescues what a dead daemon held.';

-- Item i of every array is one attempt. p_outcome: delivered; retry (the target is not well); refused (it is, but not this
-- message); gone (never send there again); cut (by the daemon itself, which blames nobody); returned (claimed, but not tried);
-- rejected (the receiver will never take this message: given up at once). An attempt of follow-up 0 is a target's test.
-- p_pause: milliseconds until the next attempt; p_rest: milliseconds for which the target asked for rest, or 0.
-- Gives what the daemon must know: "paused" and "gone" targets, of which it hands back what it still holds, and "failed" ones.
CREATE OR REPLACE FUNCTION finish_attempts(
    p_branch integer[], p_target integer[], p_follow_up bigint[], p_id text[], p_lease bigint[], p_outcome text[],
    p_status integer[], p_error text[], p_milliseconds integer[], p_pause bigint[], p_rest bigint[])
RETURNS TABLE (what text, branch_id integer, target_id integer, notification_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp ROWS 1
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    v_touched integer;
    v_counted integer[];
    v_failed uuid[];
BEGIN
    SELECT count(*) INTO v_touched
    FROM (SELECT FROM (SELECT x.branch, x.target, bool_or(x.outcome NOT IN ('delivered', 'cut', 'returned')) AS troubled
                       FROM unnest(p_branch, p_target, p_outcome) AS x (branch, target, outcome) GROUP BY 1, 2) x
          JOIN targets t ON t.branch_id = x.branch AND t.target_id = x.target
          WHERE x.troubled OR t.failures > 0
          ORDER BY t.branch_id, t.target_id FOR NO KEY UPDATE OF t) q;

    WITH done AS (
        UPDATE notifications n
            SET state = CASE WHEN x.outcome = 'delivered' THEN 'delivered'
                             WHEN x.outcome = 'rejected' OR (x.outcome IN ('retry', 'refused', 'cut') AND n.give_up_at <= now())
                                 THEN 'failed'
                             ELSE 'waiting' END,
                finished_at = CASE WHEN x.outcome IN ('delivered', 'rejected')
                                     OR (x.outcome IN ('retry', 'refused', 'cut') AND n.give_up_at <= now()) THEN now() END,
                next_attempt_at = CASE WHEN x.outcome IN ('retry', 'refused', 'cut')
                                       THEN least(now() + interval '1 millisecond' * x.pause, n.give_up_at)
                                       ELSE n.next_attempt_at END,
                attempts = n.attempts - (x.outcome = 'returned')::integer,
                leased_until = NULL
            FROM unnest(p_branch, p_follow_up, p_id, p_lease, p_outcome, p_status, p_error, p_milliseconds, p_pause)
                WITH ORDINALITY AS x (branch, follow_up, id, lease, outcome, status, error, milliseconds, pause, item)
            WHERE n.branch_id = x.branch AND n.follow_up_id = x.follow_up AND n.notification_id = x.id::uuid
              AND x.lease = CASE WHEN n.state = 'sending' THEN n.lease END
            RETURNING n.branch_id, n.notification_id, n.attempts, n.state, x.item, x.outcome, x.milliseconds, x.status, x.error
    ), written AS (
        INSERT INTO notification_attempts (branch_id, notification_id, attempt, milliseconds, status, error)
        SELECT branch_id, notification_id, attempts, milliseconds, status, error FROM done WHERE outcome <> 'returned'
    )
    SELECT array_agg(item), array_agg(notification_id) FILTER (WHERE state = 'failed') INTO v_counted, v_failed FROM done;
    IF 0 = ANY (p_follow_up) THEN
        PERFORM finish_tests(p_branch, p_follow_up, p_id, p_lease, p_outcome, p_status, p_error, p_rest);
    END IF;
    IF v_failed IS NOT NULL THEN
        RETURN QUERY SELECT 'failed', NULL::integer, NULL::integer, x.id FROM unnest(v_failed) AS x (id);
    END IF;
    IF v_touched = 0 OR v_counted IS NULL THEN
        RETURN;
    END IF;

    -- A target counts as well when one of the batch got through. What failed while it was paused already had begun before.
    RETURN QUERY
    WITH met AS (
        SELECT x.branch, x.target, bool_or(x.outcome IN ('delivered', 'refused', 'rejected')) AS well,
               count(*) FILTER (WHERE x.outcome = 'retry') AS bad, bool_or(x.outcome = 'gone') AS gone, max(x.rest) AS rest,
               max(x.error) FILTER (WHERE x.outcome = 'gone') AS words
        FROM unnest(p_branch, p_target, p_outcome, p_rest, p_error) WITH ORDINALITY AS x (branch, target, outcome, rest, error, item)
        WHERE x.item = ANY (v_counted) AND x.outcome <> 'returned' GROUP BY 1, 2
    ), judged AS (
        SELECT t.branch_id, t.target_id, t.bucket, m.gone, m.words, m.rest,
               CASE WHEN m.well THEN 0
                    WHEN t.paused_until > now() OR m.bad = 0 THEN t.failures
                    WHEN t.failures < breaker_opens_at() THEN least(t.failures + m.bad, breaker_opens_at())
                    ELSE t.failures + 1 END AS failures,
               m.bad > 0 AND NOT m.well AND NOT coalesce(t.paused_until > now(), false) AS worse
        FROM met m JOIN targets t ON t.branch_id = m.branch AND t.target_id = m.target
    ), changed AS (
        UPDATE targets t
            SET failures = j.failures,
                paused_until = greatest(t.paused_until,
                    CASE WHEN j.worse AND j.failures >= breaker_opens_at() THEN now() + breaker_pause(j.failures::integer) END,
                    CASE WHEN j.rest > 0 THEN now() + interval '1 millisecond' * j.rest END),
                retired_at = CASE WHEN j.gone THEN now() ELSE t.retired_at END,
                retired_because = CASE WHEN j.gone THEN concat_ws(': ', 'gone', j.words) ELSE t.retired_because END
            FROM judged j
            WHERE t.branch_id = j.branch_id AND t.target_id = j.target_id AND t.retired_at IS NULL
              AND (j.failures, j.gone, j.rest) IS DISTINCT FROM (t.failures, false, 0)
            RETURNING t.*
    ), rested AS (
        UPDATE buckets b SET rest_until = greatest(b.rest_until, now() + interval '1 millisecond' * j.rest)
            FROM (SELECT branch_id, bucket, max(rest) AS rest FROM judged WHERE rest > 0 AND bucket IS NOT NULL GROUP BY 1, 2) j
            WHERE b.branch_id = j.branch_id AND b.bucket = j.bucket
    ), audited AS (
        INSERT INTO audit_log (branch_id, actor, action, subject)
        SELECT c.branch_id, 'target:' || c.target_id, 'target-gone', p.code
        FROM changed c JOIN people p ON p.branch_id = c.branch_id AND p.person_id = c.person_id WHERE c.retired_at IS NOT NULL
    )
    SELECT CASE WHEN c.retired_at IS NULL THEN 'paused' ELSE 'gone' END, c.branch_id, c.target_id, NULL::uuid
    FROM changed c
    WHERE c.retired_at IS NOT NULL OR c.failures >= breaker_opens_at() OR c.paused_until > now();

    IF 'gone' = ANY (p_outcome) THEN
        PERFORM pass_on(array_agg(x.branch), array_agg(x.follow_up), array_agg(x.id::uuid))
        FROM unnest(p_branch, p_follow_up, p_id, p_outcome) WITH ORDINALITY AS x (branch, follow_up, id, outcome, item)
        WHERE x.outcome = 'gone' AND x.item = ANY (v_counted) HAVING count(*) > 0;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION finish_attempts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION finish_attempts TO ringback_app;
COMMENT ON FUNCTION finish_attempts IS
    'Records how attempts ended, each only under its current lease: delivered, to be tried again, given up, or passed on.';
