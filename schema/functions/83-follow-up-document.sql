-- A follow-up as the console shows it, whole: GET /api/v1/follow-ups/{id} and the answers of its moves. Each part of a promise's
-- life adds its members here. Runs with the rights of who asks: what is not his to see is not in it.

CREATE OR REPLACE FUNCTION follow_up_steps_document(p_follow_up bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('step', s.step, 'action', s.action, 'whom', s.whom, 'due_at', s.due_at,
                        'fired_at', s.fired_at, 'skipped', s.skipped) ORDER BY s.due_at, s.step), '[]')
            FROM follow_up_steps s WHERE s.branch_id = asker_branch() AND s.follow_up_id = p_follow_up);
END $$;
COMMENT ON FUNCTION follow_up_steps_document(bigint) IS 'The ladder of a follow-up: what happens when, what has happened, what was skipped and why.';

CREATE OR REPLACE FUNCTION follow_up_history_document(p_follow_up bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('at', h.at, 'kind', h.kind, 'by', p.code, 'by_name', p.name,
                        'details', h.details) ORDER BY h.history_id), '[]')
            FROM follow_up_history h
            LEFT JOIN people p ON p.branch_id = h.branch_id AND p.person_id = h.by_person_id
            WHERE h.branch_id = asker_branch() AND h.follow_up_id = p_follow_up);
END $$;
COMMENT ON FUNCTION follow_up_history_document(bigint) IS 'All that happened to a follow-up, oldest first; "by" is null when it was the system itself.';

CREATE OR REPLACE FUNCTION follow_up_notifications_document(p_follow_up bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('id', n.follow_up_id || '.' || n.notification_id, 'type', n.type, 'step', n.step,
                        'recipient', p.code, 'state', n.state, 'attempts', n.attempts, 'created_at', n.created_at,
                        'finished_at', n.finished_at, 'last_attempt', (
                            SELECT jsonb_build_object('at', a.finished_at, 'status', a.status, 'error', a.error)
                            FROM notification_attempts a
                            WHERE a.branch_id = n.branch_id AND a.notification_id = n.notification_id ORDER BY a.attempt DESC LIMIT 1))
                        ORDER BY n.created_at, n.notification_id), '[]')
            FROM notifications n
            LEFT JOIN people p ON p.branch_id = n.branch_id AND p.person_id = n.recipient_id
            WHERE n.branch_id = asker_branch() AND n.follow_up_id = p_follow_up);
END $$;
COMMENT ON FUNCTION follow_up_notifications_document(bigint) IS 'Who was told of a follow-up, and how the last attempt to tell him ended.';

CREATE OR REPLACE FUNCTION follow_up_document(p_follow_up bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_document jsonb;
BEGIN
    SELECT jsonb_build_object('id', f.follow_up_id, 'complaint', f.complaint::text, 'state', f.state, 'kind', f.kind, 'category', f.category,
            'severity', f.severity, 'area', a.code, 'owner', o.code, 'owner_name', o.name, 'raised_at', f.raised_at, 'due_at', f.due_at,
            'work_due_at', f.work_due_at, 'promised_at', f.promised_at, 'proof', f.proof, 'created_at', f.created_at,
            'revision', f.revision)
        || jsonb_build_object('acknowledged_at', f.acknowledged_at, 'acknowledged_by', ack.code, 'first_try_at', f.first_try_at,
            'contacted_at', f.contacted_at, 'contacted_by', con.code, 'proof_call', f.proof_call, 'resolved_at', f.resolved_at,
            'resolved_by', res.code, 'resolution', f.resolution, 'valid', f.valid, 'thanks', f.thanks, 'root_cause', f.root_cause,
            'corrective_action', f.corrective_action, 'verified_at', f.verified_at, 'verified_by', ver.code, 'satisfied', f.satisfied,
            'reopened', f.reopened, 'merged_into', f.merged_into, 'closed_at', f.closed_at)
        || jsonb_build_object('text', c.text, 'caller', coalesce(c.caller_phone, c.caller), 'call', c.call, 'order', c.order_reference::text,
            'operator', c.operator_code,
            'retailer', CASE WHEN r.retailer_id IS NOT NULL THEN jsonb_build_object('code', r.code, 'name', r.name, 'class', r.class,
                'manager', m.code, 'phones', (SELECT coalesce(jsonb_agg(h.phone ORDER BY h.position), '[]') FROM retailer_phones h
                                              WHERE h.branch_id = r.branch_id AND h.retailer_id = r.retailer_id)) END,
            'policy', jsonb_build_object('name', y.name, 'version', y.version),
            'incident', incident_brief(f.incident_id))
        || jsonb_build_object('steps', follow_up_steps_document(p_follow_up), 'history', follow_up_history_document(p_follow_up),
            'notifications', follow_up_notifications_document(p_follow_up), 'tries', follow_up_tries_document(p_follow_up))
        || follow_up_life_document(p_follow_up)
        INTO v_document
    FROM follow_ups f
    JOIN complaints c ON c.branch_id = f.branch_id AND c.reference = f.complaint
    JOIN policies y ON y.branch_id = f.branch_id AND y.policy_id = f.policy_id
    LEFT JOIN areas a ON a.branch_id = f.branch_id AND a.area_id = f.area_id
    LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id
    LEFT JOIN people m ON m.branch_id = r.branch_id AND m.person_id = r.manager_id
    LEFT JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
    LEFT JOIN people ack ON ack.branch_id = f.branch_id AND ack.person_id = f.acknowledged_by_id
    LEFT JOIN people con ON con.branch_id = f.branch_id AND con.person_id = f.contacted_by_id
    LEFT JOIN people res ON res.branch_id = f.branch_id AND res.person_id = f.resolved_by_id
    LEFT JOIN people ver ON ver.branch_id = f.branch_id AND ver.person_id = f.verified_by_id
    WHERE f.branch_id = asker_branch() AND f.follow_up_id = p_follow_up;
    RETURN v_document;
END $$;
COMMENT ON FUNCTION follow_up_document(bigint) IS 'All that is known of a follow-up; null: there is none, or it is not his to see.';
GRANT EXECUTE ON FUNCTION follow_up_steps_document, follow_up_history_document, follow_up_notifications_document, follow_up_document
    TO ringback_console;
