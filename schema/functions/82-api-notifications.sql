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

-- Sort key: when it ended, infinity for those that have not. Who does not see the whole branch is listed, without a follow-up, what
-- went to the people whose work he sees.
CREATE OR REPLACE FUNCTION pick_notifications(p jsonb, OUT ids text[], OUT next jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_after jsonb := asked_cursor(p, 2);
    v_follow_up bigint := asked_whole(p, 'follow_up', 1, 999999999999999999);
    v_states text[] := asked_some(p, 'state', notification_states());
    v_from timestamptz := asked_time(p, 'from');
    v_to timestamptz := asked_time(p, 'to');
    v_all text := format('FROM notifications n WHERE n.branch_id = %s', asker_branch())
        || CASE WHEN v_follow_up IS NULL AND NOT asker_everything() THEN format(' AND n.recipient_id = ANY (%L)', asker_managers()) ELSE '' END
        || clause(' AND n.follow_up_id = %s', v_follow_up::text) || clause(' AND n.recipient_id = %s', person_asked(p, 'recipient'));
    v_ok text := 'true' || clause(' AND n.type = %L', asked_one(p, 'type', '{assigned,reminded,overdue,escalated,reopened,closed}'))
        || CASE WHEN v_states IS NULL THEN '' ELSE format(' AND n.state = ANY (%L)', v_states) END
        || CASE WHEN asker_reports() THEN '' ELSE ' AND (SELECT true FROM follow_ups f WHERE f.branch_id = n.branch_id
               AND f.follow_up_id = n.follow_up_id AND f.kind <> ''report'' LIMIT 1)' END;
    v_ended text := clause(' AND n.finished_at >= %L', v_from::text) || clause(' AND n.finished_at < %L', v_to::text)
        || CASE WHEN 'infinity' = v_after ->> 0 THEN '' ELSE clause(' AND (n.finished_at, n.notification_id) < (%L', cursor_time(v_after, 0)::text)
               || clause(', %L)', v_after ->> 1) END;
    v_rows text;
BEGIN
    IF v_after ->> 1 !~ '^[0-9a-f-]{36}$' THEN
        PERFORM refuse(400, 'bad-request', 'this cursor is not one of this list: begin again without it');
    END IF;
    v_rows := format('(SELECT n.finished_at AS key, n.follow_up_id, n.notification_id, %s AS ok %s AND %s AND n.finished_at IS NOT NULL%s
                      ORDER BY n.finished_at DESC, n.notification_id DESC LIMIT 20000)', v_ok, v_all,
        -- Failed ones are few, and have an index.
        CASE WHEN v_states && '{delivered,passed_on,cancelled}' OR v_states IS NULL THEN 'true' ELSE 'n.state IN (''stranded'', ''failed'')' END, v_ended);
    IF v_after IS NULL OR v_after ->> 0 = 'infinity' THEN
        SELECT v_rows || coalesce(string_agg(format(' UNION ALL (SELECT ''infinity''::timestamptz, n.follow_up_id, n.notification_id, %s %s
                AND n.finished_at IS NULL AND n.state = %L%s ORDER BY n.notification_id DESC LIMIT 20000)', v_ok, v_all, s,
                clause(' AND n.notification_id < %L', v_after ->> 1) || clause(' AND n.created_at >= %L', v_from::text)
                || clause(' AND n.created_at < %L', v_to::text)), ''), '')
            INTO v_rows FROM unnest('{waiting,sending,stranded}'::text[]) s WHERE v_states IS NULL OR s = ANY (v_states);
    END IF;
    SELECT w.ids, w.next INTO ids, next FROM walk(format('SELECT n.follow_up_id || ''.'' || n.notification_id AS id,
        jsonb_build_array(n.key, n.notification_id) AS key, n.ok FROM (%s) n ORDER BY n.key DESC, n.notification_id DESC', v_rows), asked_limit(p), 20000) w;
END $$;
COMMENT ON FUNCTION pick_notifications(jsonb) IS 'The notifications of a page of the list.';

CREATE OR REPLACE FUNCTION api_list_notifications(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_ids text[];
    v_next jsonb;
BEGIN
    SELECT ids, next INTO v_ids, v_next FROM pick_notifications(p);
    RETURN page_of((SELECT array_agg(x.item ORDER BY x.n) FILTER (WHERE x.item IS NOT NULL)
        FROM (SELECT notification_summary(split_part(u.id, '.', 1)::bigint, split_part(u.id, '.', 2)::uuid) AS item, u.n FROM unnest(v_ids) WITH ORDINALITY AS u (id, n)) x), v_next);
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

GRANT EXECUTE ON FUNCTION notification_summary, pick_notifications, api_list_notifications, notification_asked, api_get_notification,
    resend_notification, api_resend_notification TO ringback_console;
