-- The console as a channel: a person's inbox, and what his browser has shown him of it. Listing is no delivery, since browsers
-- fetch ahead; see_inbox is, called when it is on the screen, by the stream's client likewise.

-- Read with the owner's rights: whom a notification was sent to may read it, as he could in any other channel.
CREATE OR REPLACE FUNCTION inbox_items(p_before bigint, p_limit integer, p_seen boolean) RETURNS TABLE (inbox_id bigint, item json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
    SELECT i.inbox_id, json_build_object('id', i.notification_id, 'filed_at', i.filed_at, 'seen_at', i.seen_at,
        'type', n.type, 'step', n.step, 'follow_up', n.follow_up_id, 'complaint', d.data ->> 'complaint', 'kind', d.data ->> 'kind',
        'retailer', CASE WHEN json_typeof(d.data -> 'retailer') = 'object' THEN json_build_object(
            'code', d.data #>> '{retailer,code}', 'name', d.data #>> '{retailer,name}') END,
        'caller', d.data ->> 'caller', 'text', d.data ->> 'text', 'due_at', f.due_at, 'state', f.state,
        'acknowledge_url', d.data ->> 'acknowledge_url')
    FROM inbox i
    JOIN notifications n ON n.branch_id = i.branch_id AND n.follow_up_id = i.follow_up_id AND n.notification_id = i.notification_id
    JOIN follow_ups f ON f.branch_id = i.branch_id AND f.follow_up_id = i.follow_up_id
    CROSS JOIN LATERAL (SELECT n.body::json -> 'data' AS data) d
    WHERE i.branch_id = asker_branch() AND i.person_id = asker_person() AND i.withdrawn_at IS NULL
      AND (p_before IS NULL OR i.inbox_id < p_before) AND (p_seen IS NULL OR (i.seen_at IS NOT NULL) = p_seen)
    ORDER BY i.inbox_id DESC LIMIT p_limit
$$;
REVOKE EXECUTE ON FUNCTION inbox_items FROM PUBLIC;
COMMENT ON FUNCTION inbox_items(bigint, integer, boolean) IS 'The inbox of who asks, newest first.';

CREATE OR REPLACE FUNCTION api_list_inbox(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after jsonb := asked_cursor(p, 1);
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(x.item ORDER BY x.inbox_id DESC), array_agg(jsonb_build_array(x.inbox_id) ORDER BY x.inbox_id DESC)
        INTO v_items, v_keys
    FROM inbox_items(cursor_number(v_after, 0), v_limit + 1, asked_flag(p, 'seen')) x;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_inbox(jsonb) IS 'What was sent to who asks by the console; delivers nothing.';

CREATE OR REPLACE FUNCTION see_notifications(p_ids uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_seen integer;
BEGIN
    WITH seen AS (
        UPDATE inbox SET seen_at = now()
            WHERE branch_id = asker_branch() AND person_id = asker_person() AND notification_id = ANY (p_ids)
              AND seen_at IS NULL AND withdrawn_at IS NULL
            RETURNING branch_id, follow_up_id, notification_id
    ), delivered AS (
        UPDATE notifications n SET state = 'delivered', finished_at = now(), attempts = n.attempts + 1 FROM seen s
            WHERE n.branch_id = s.branch_id AND n.follow_up_id = s.follow_up_id AND n.notification_id = s.notification_id
              AND n.state = 'inbox'
            RETURNING n.branch_id, n.notification_id, n.attempts
    ), written AS (
        INSERT INTO notification_attempts (branch_id, notification_id, attempt, milliseconds)
        SELECT branch_id, notification_id, attempts, 0 FROM delivered
    )
    SELECT count(*) INTO v_seen FROM seen;
    RETURN v_seen;
END $$;
REVOKE EXECUTE ON FUNCTION see_notifications FROM PUBLIC;
COMMENT ON FUNCTION see_notifications(uuid[]) IS 'The browser of who asks shows these: they are delivered. Says how many were new to him.';

CREATE OR REPLACE FUNCTION api_see_inbox(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_ids jsonb := p #> '{body,notifications}';
BEGIN
    PERFORM check_members(p, '{notifications}');
    IF jsonb_typeof(v_ids) IS DISTINCT FROM 'array' OR jsonb_array_length(v_ids) NOT BETWEEN 1 AND 200 THEN
        PERFORM fault('/notifications', 'a list of 1 to 200 ids of notifications');
    ELSIF EXISTS (SELECT FROM jsonb_array_elements(v_ids) x
                  WHERE jsonb_typeof(x) <> 'string' OR x #>> '{}' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') THEN
        PERFORM fault('/notifications', 'each is the id of a notification, as the inbox lists it');
    END IF;
    RETURN answer_json(json_build_object('seen', see_notifications(ARRAY(SELECT (x #>> '{}')::uuid FROM jsonb_array_elements(v_ids) x))));
END $$;
COMMENT ON FUNCTION api_see_inbox(jsonb) IS 'Says that these are on the screen; those of others and those seen before change nothing.';
GRANT EXECUTE ON FUNCTION inbox_items, api_list_inbox, see_notifications, api_see_inbox TO ringback_console;
