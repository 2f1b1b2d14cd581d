-- Notifications that waited because nobody in the line had a live target.

CREATE OR REPLACE FUNCTION adopt_stranded(p_branch integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_adopted integer;
BEGIN
    UPDATE notifications n SET target_id = f.target_id, recipient_id = f.recipient_id, state = 'waiting', next_attempt_at = now(),
        body = notification_body(n.notification_id, n.branch_id, n.follow_up_id, n.type, n.step, f.recipient_id)
    FROM (SELECT s.notification_id, t.target_id, t.recipient_id
          FROM notifications s CROSS JOIN LATERAL first_live_target(s.branch_id, s.addressee_id) t
          WHERE s.branch_id = p_branch AND s.state = 'stranded') f
    WHERE n.branch_id = p_branch AND n.notification_id = f.notification_id AND n.state = 'stranded';
    GET DIAGNOSTICS v_adopted = ROW_COUNT;
    RETURN v_adopted;
END $$;
COMMENT ON FUNCTION adopt_stranded(integer) IS 'Gives a target to the stranded notifications that can now be served; says how many.';
