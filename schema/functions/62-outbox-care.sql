-- What the outbox needs besides delivery: finding targets for the stranded, giving up, sending again by hand, and figures.

-- p_branch: null means all. A part at a time, so that a great number never makes a long transaction; the slow poll goes on.
CREATE OR REPLACE FUNCTION adopt_stranded(p_branch integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_adopted integer;
BEGIN
    -- The target is looked up once for each addressee, whose stranded notifications may be many.
    WITH found AS MATERIALIZED (
        SELECT a.branch_id, a.addressee_id, t.target_id, t.recipient_id
        FROM (SELECT DISTINCT n.branch_id, n.addressee_id FROM notifications n
              WHERE n.state = 'stranded' AND (p_branch IS NULL OR n.branch_id = p_branch)) a
        CROSS JOIN LATERAL first_live_target(a.branch_id, a.addressee_id) t
    ), picked AS MATERIALIZED (
        SELECT n.ctid AS row, f.target_id, f.recipient_id
        FROM found f JOIN notifications n ON n.branch_id = f.branch_id AND n.addressee_id IS NOT DISTINCT FROM f.addressee_id
        WHERE n.state = 'stranded' ORDER BY n.created_at LIMIT 500 FOR NO KEY UPDATE OF n SKIP LOCKED
    )
    UPDATE notifications n
        SET state = 'waiting', target_id = k.target_id, recipient_id = k.recipient_id, next_attempt_at = now(),
            give_up_at = now() + interval '3 days',
            body = notification_body(n.notification_id, n.branch_id, n.follow_up_id, n.type, n.step, k.recipient_id)
        FROM picked k WHERE n.ctid = k.row;
    GET DIAGNOSTICS v_adopted = ROW_COUNT;
    RETURN v_adopted;
END $$;
REVOKE EXECUTE ON FUNCTION adopt_stranded FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adopt_stranded TO ringback_app;
COMMENT ON FUNCTION adopt_stranded IS
    'Gives stranded notifications to whoever up the line has a live target by now, the oldest first; says how many.';

CREATE OR REPLACE FUNCTION resend_notifications(p_branch integer, p_actor text, p_ids uuid[] DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_ids uuid[];
BEGIN
    WITH again AS (
        UPDATE notifications n SET state = 'waiting', next_attempt_at = now(), give_up_at = now() + interval '3 days',
                                   finished_at = NULL
            WHERE n.branch_id = p_branch AND n.state = 'failed' AND (p_ids IS NULL OR n.notification_id = ANY (p_ids))
            RETURNING n.notification_id)
    SELECT array_agg(notification_id) INTO v_ids FROM again;
    INSERT INTO audit_log (branch_id, actor, action, subject)
        SELECT p_branch, p_actor, 'notification-resent', x.id::text FROM unnest(v_ids) AS x (id);
    RETURN coalesce(cardinality(v_ids), 0);
END $$;
REVOKE EXECUTE ON FUNCTION resend_notifications FROM PUBLIC;
GRANT EXECUTE ON FUNCTION resend_notifications TO ringback_app;
COMMENT ON FUNCTION resend_notifications IS
    'Sends failed notifications of a branch again, those named or all; says how many. Same id, same bytes, three more days.';

-- The slow poll of every daemon. Notifications whose time is over and whose target is not being tried are given up here; the
-- others make their last attempt and are given up by finish_attempts.
CREATE OR REPLACE FUNCTION watch_outbox(
    OUT adopted integer, OUT given_up integer, OUT waiting bigint, OUT oldest_seconds double precision, OUT stranded bigint,
    OUT failed bigint, OUT breakers_open bigint, OUT without_owner bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_over bigint;
BEGIN
    PERFORM withdraw_inbox(p.branch_id, p.person_id) FROM people p
        WHERE p.retired_at IS NOT NULL AND EXISTS (SELECT FROM inbox i WHERE i.branch_id = p.branch_id AND i.person_id = p.person_id
            AND i.seen_at IS NULL AND i.withdrawn_at IS NULL);
    adopted := adopt_stranded(NULL);
    given_up := 0;
    SELECT count(*), coalesce(extract(epoch FROM now() - min(n.created_at)), 0), count(*) FILTER (WHERE n.give_up_at <= now())
        INTO waiting, oldest_seconds, v_over
        FROM notifications n WHERE n.state = 'waiting';
    IF v_over > 0 THEN
        UPDATE notifications n SET state = 'failed', finished_at = now()
            WHERE n.ctid = ANY (ARRAY(
                SELECT w.ctid FROM notifications w JOIN targets t USING (branch_id, target_id)
                WHERE w.state = 'waiting' AND w.give_up_at <= now()
                  AND (t.paused_until > now() OR t.failures >= breaker_opens_at())
                LIMIT 500 FOR NO KEY UPDATE OF w SKIP LOCKED));
        GET DIAGNOSTICS given_up = ROW_COUNT;
        waiting := waiting - given_up;
    END IF;
    SELECT count(*) FILTER (WHERE n.state = 'stranded'), count(*) FILTER (WHERE n.state = 'failed') INTO stranded, failed
        FROM notifications n WHERE n.state IN ('stranded', 'failed');
    SELECT count(*) INTO breakers_open FROM targets t WHERE t.retired_at IS NULL AND t.failures >= breaker_opens_at();
    SELECT coalesce(sum(f.n), 0) INTO without_owner FROM branches b CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM follow_ups f
        WHERE f.branch_id = b.branch_id AND f.owner_id IS NULL AND f.state <> 'closed') f;
END $$;
REVOKE EXECUTE ON FUNCTION watch_outbox FROM PUBLIC;
GRANT EXECUTE ON FUNCTION watch_outbox TO ringback_app;
COMMENT ON FUNCTION watch_outbox IS
    'Adopts the stranded, gives up what is over, takes the inboxes of who left into the outbox again, and counts for the metrics.';
