-- The outbox going out: daemons claim notifications with a lease and report how each attempt ended. Any number of them do
-- so side by side; an outcome counts only with the current lease, so one that comes too late changes nothing.
--
-- A notification: waiting → sending (claimed) → delivered; or waiting again (retry), failed (three days are over), passed_on
-- (its target is gone), cancelled (its follow-up is closed). "This message failed" is in its row; "this target is down" is the
-- breaker in the target's: after five failures in a row it is paused, a second at first, up to twenty, and then probed by one
-- notification at a time until one gets through.
--
-- Lock order: rows of targets by (branch, target); rows of notifications. Claims take advisory locks, never wait for them,
-- and skip rows that are locked.
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

-- p_busy_*: targets of which the daemon holds notifications already, and how many more of theirs it would take.
CREATE OR REPLACE FUNCTION claim_notifications(p_most integer, p_lease interval DEFAULT '60 seconds',
    p_busy_branch integer[] DEFAULT '{}', p_busy_target integer[] DEFAULT '{}', p_busy_room integer[] DEFAULT '{}')
RETURNS TABLE (notification_id uuid, branch_id integer, follow_up_id bigint, target_id integer, lease bigint, attempt integer,
               channel text, address text, sealed_secret bytea, body text)
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
BEGIN
    UPDATE notifications SET state = 'waiting', leased_until = NULL
    WHERE ctid = ANY (ARRAY(SELECT n.ctid FROM notifications n
        WHERE n.state = 'sending' AND n.leased_until < now() FOR NO KEY UPDATE SKIP LOCKED));

    FOR survey IN 1..2 LOOP
        SELECT array_agg(q.branch_id ORDER BY q.first_at) FILTER (WHERE q.live),
               array_agg(q.target_id ORDER BY q.first_at) FILTER (WHERE q.live),
               array_agg(q.room ORDER BY q.first_at) FILTER (WHERE q.live),
               array_agg(q.channel ORDER BY q.first_at) FILTER (WHERE q.live),
               array_agg(q.address ORDER BY q.first_at) FILTER (WHERE q.live),
               array_agg(q.sealed_secret ORDER BY q.first_at) FILTER (WHERE q.live),
               array_agg(q.branch_id) FILTER (WHERE NOT q.live), array_agg(q.target_id) FILTER (WHERE NOT q.live)
            INTO v_branch, v_target, v_room, v_channel, v_address, v_secret, v_gone_branch, v_gone_target
        FROM (SELECT w.branch_id, w.target_id, w.first_at, t.channel, t.address, t.sealed_secret,
                     t.retired_at IS NULL AND p.retired_at IS NULL AS live,
                     least(CASE WHEN t.failures >= breaker_opens_at() THEN 1 ELSE 32 END, b.room) AS room,
                     w.first_at <= now() AND (t.paused_until IS NULL OR t.paused_until <= now()) AS ready
              FROM targets_with_work() w
              JOIN targets t ON t.branch_id = w.branch_id AND t.target_id = w.target_id
              JOIN people p ON p.branch_id = t.branch_id AND p.person_id = t.person_id
              LEFT JOIN unnest(p_busy_branch, p_busy_target, p_busy_room) AS b (branch, target, room)
                  ON b.branch = w.branch_id AND b.target = w.target_id) q
        WHERE NOT q.live OR (q.ready AND q.room > 0);
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
    SELECT c.notification_id, c.branch_id, c.follow_up_id, c.target_id, c.lease, c.attempts, c.channel, c.address, c.secret, c.body
    FROM claimed c WHERE c.state = 'sending';
END $$;
REVOKE EXECUTE ON FUNCTION claim_notifications FROM PUBLIC;
GRANT EXECUTE ON FUNCTION claim_notifications TO ringback_app;
COMMENT ON FUNCTION claim_notifications IS
    'Leases due notifications to a daemon, fairly between targets, at most 32 in flight for one; rescues what a dead daemon held.';

-- Item i of every array is one attempt. p_outcome: delivered; retry (the target is not well); refused (it is, but not this
-- message); gone (never send there again); cut (by the daemon itself, which blames nobody); returned (claimed, but not tried).
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
                             WHEN x.outcome IN ('retry', 'refused', 'cut') AND n.give_up_at <= now() THEN 'failed'
                             ELSE 'waiting' END,
                finished_at = CASE WHEN x.outcome = 'delivered'
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
    IF v_failed IS NOT NULL THEN
        RETURN QUERY SELECT 'failed', NULL::integer, NULL::integer, x.id FROM unnest(v_failed) AS x (id);
    END IF;
    IF v_touched = 0 OR v_counted IS NULL THEN
        RETURN;
    END IF;

    -- A target counts as well when one of the batch got through. What failed while it was paused already had begun before.
    RETURN QUERY
    WITH met AS (
        SELECT x.branch, x.target, bool_or(x.outcome IN ('delivered', 'refused')) AS well,
               count(*) FILTER (WHERE x.outcome = 'retry') AS bad, bool_or(x.outcome = 'gone') AS gone, max(x.rest) AS rest
        FROM unnest(p_branch, p_target, p_outcome, p_rest) WITH ORDINALITY AS x (branch, target, outcome, rest, item)
        WHERE x.item = ANY (v_counted) AND x.outcome <> 'returned' GROUP BY 1, 2
    ), judged AS (
        SELECT t.branch_id, t.target_id, m.gone, m.rest,
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
                retired_because = CASE WHEN j.gone THEN 'gone' ELSE t.retired_because END
            FROM judged j
            WHERE t.branch_id = j.branch_id AND t.target_id = j.target_id AND t.retired_at IS NULL
              AND (j.failures, j.gone, j.rest) IS DISTINCT FROM (t.failures, false, 0)
            RETURNING t.*
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
