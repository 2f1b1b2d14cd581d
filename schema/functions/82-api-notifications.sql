-- The console's notifications: those that have not ended first, then by when they ended, and sending failed ones again. One is
-- named by its follow-up and its id, "17.6f1c…", as its key is. The body is not shown: the link in it acknowledges for whoever
-- has it.

CREATE OR REPLACE FUNCTION notification_summary(p_follow_up bigint, p_id uuid) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object('id', n.follow_up_id || '.' || n.notification_id, 'event', n.notification_id, 'follow_up', n.follow_up_id,
            'complaint', f.complaint::text, 'type', n.type, 'step', n.step, 'addressee', a.code, 'recipient', p.code, 'state', n.state,
            'attempts', n.attempts, 'created_at', n.created_at, 'next_attempt_at', CASE WHEN n.state = 'waiting' THEN n.next_attempt_at END,
            'give_up_at', n.give_up_at, 'finished_at', n.finished_at)
        FROM notifications n
        JOIN follow_ups f ON f.branch_id = n.branch_id AND f.follow_up_id = n.follow_up_id
        LEFT JOIN people a ON a.branch_id = n.branch_id AND a.person_id = n.addressee_id
        LEFT JOIN people p ON p.branch_id = n.branch_id AND p.person_id = n.recipient_id
        WHERE n.branch_id = asker_branch() AND n.follow_up_id = p_follow_up AND n.notification_id = p_id);
END $$;
COMMENT ON FUNCTION notification_summary(bigint, uuid) IS 'A notification as lists show it.';

CREATE OR REPLACE FUNCTION notification_states() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT '{waiting,sending,inbox,delivered,failed,stranded,passed_on,cancelled}'::text[]
$$;
COMMENT ON FUNCTION notification_states() IS 'The states of a notification.';

-- Sort key: when it ended, infinity for those that have not. An account or market manager's list without a follow-up is of what
-- went to the people whose work he sees.
CREATE OR REPLACE FUNCTION api_list_notifications(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after jsonb := asked_cursor(p, 2);
    v_follow_up bigint := asked_whole(p, 'follow_up', 1, 999999999999999999);
    v_states text[] := asked_some(p, 'state', notification_states());
    v_from timestamptz := asked_time(p, 'from');
    v_to timestamptz := asked_time(p, 'to');
    v_order text := format(' ORDER BY 1 DESC, 3 DESC LIMIT %s', v_limit + 1);
    v_all text := format('FROM notifications n WHERE n.branch_id = %s', asker_branch())
        || CASE WHEN v_follow_up IS NULL AND NOT asker_everything() AND asker_role() <> 'inspector'
                THEN format(' AND n.recipient_id = ANY (%L)', asker_managers()) ELSE '' END
        || clause(' AND n.follow_up_id = %s', v_follow_up::text)
        || clause(' AND n.recipient_id = %s', person_asked(p, 'recipient'))
        || clause(' AND n.type = %L', asked_one(p, 'type', '{assigned,reminded,overdue,escalated,reopened,closed}'))
        || CASE WHEN v_states IS NULL THEN '' ELSE format(' AND n.state = ANY (%L)', v_states) END
        || clause(' AND n.created_at >= %L', v_from::text) || clause(' AND n.created_at < %L', v_to::text);
    v_ended text := ' AND n.finished_at IS NOT NULL' || clause(' AND n.finished_at >= %L', v_from::text)
        || CASE WHEN v_after ->> 0 = 'infinity' THEN '' ELSE clause(' AND (n.finished_at, n.notification_id) < (%L, ',
               cursor_time(v_after, 0)::text) || clause('%L)', v_after ->> 1) END;
    v_pages text;
    v_items json[];
    v_keys jsonb[];
BEGIN
    PERFORM (v_after ->> 1)::uuid;
    v_pages := format('(SELECT n.finished_at AS key, n.follow_up_id, n.notification_id %s%s ORDER BY n.finished_at DESC, n.notification_id DESC LIMIT %s)',
                      v_all, v_ended, v_limit + 1);
    IF v_after IS NULL OR v_after ->> 0 = 'infinity' THEN
        SELECT v_pages || coalesce(string_agg(format(' UNION ALL (SELECT ''infinity'', n.follow_up_id, n.notification_id %s AND n.finished_at IS NULL
                AND n.state = %L%s ORDER BY n.notification_id DESC LIMIT %s)', v_all, s,
                clause(' AND n.notification_id < %L', v_after ->> 1), v_limit + 1), ''), '')
            INTO v_pages FROM unnest('{waiting,sending,stranded}'::text[]) s WHERE v_states IS NULL OR s = ANY (v_states);
    END IF;
    EXECUTE format('SELECT array_agg(notification_summary(n.follow_up_id, n.notification_id)), array_agg(jsonb_build_array(n.key, n.notification_id))
                    FROM (SELECT * FROM (%s) n%s) n', v_pages, v_order) INTO v_items, v_keys;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_notifications(jsonb) IS 'Notifications: what has not ended first, then the latest.';

CREATE OR REPLACE FUNCTION notification_asked(p jsonb) RETURNS notifications LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_id text[] := regexp_match(p #>> '{path,id}', '^([1-9][0-9]{0,17})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$');
    v_notification notifications;
BEGIN
    SELECT * INTO v_notification FROM notifications
        WHERE branch_id = asker_branch() AND follow_up_id = v_id[1]::bigint AND notification_id = v_id[2]::uuid;
    IF NOT FOUND THEN
        PERFORM found_nothing('notification');
    END IF;
    RETURN v_notification;
END $$;
COMMENT ON FUNCTION notification_asked(jsonb) IS 'The notification a path names; 404 when it is none of his.';

CREATE OR REPLACE FUNCTION api_get_notification(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_notification notifications := notification_asked(p);
BEGIN
    RETURN answer_json(notification_summary(v_notification.follow_up_id, v_notification.notification_id)::jsonb || jsonb_build_object('tries', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('attempt', a.attempt, 'at', a.finished_at, 'milliseconds', a.milliseconds,
                   'status', a.status, 'error', a.error) ORDER BY a.attempt), '[]')
        FROM notification_attempts a
        WHERE a.branch_id = v_notification.branch_id AND a.notification_id = v_notification.notification_id)));
END $$;
COMMENT ON FUNCTION api_get_notification(jsonb) IS 'One notification with every attempt.';

CREATE OR REPLACE FUNCTION resend_notification(p_id uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
    SELECT resend_notifications(asker_branch(), asker_actor(), ARRAY[p_id]) = 1
$$;
COMMENT ON FUNCTION resend_notification(uuid) IS 'Sends a failed notification of the asker''s branch again; false: it is not failed.';

CREATE OR REPLACE FUNCTION api_resend_notification(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_notification notifications := notification_asked(p);
BEGIN
    IF NOT resend_notification(v_notification.notification_id) THEN
        PERFORM refuse(409, 'not-failed', format('only a failed notification is sent again; this one is %s', v_notification.state));
    END IF;
    RETURN api_get_notification(p);
END $$;
COMMENT ON FUNCTION api_resend_notification(jsonb) IS 'Sends a failed notification again: same id, same bytes, three more days.';

GRANT EXECUTE ON FUNCTION notification_summary, notification_states, api_list_notifications, notification_asked, api_get_notification,
    resend_notification, api_resend_notification TO ringback_console;
