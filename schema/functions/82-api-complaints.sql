-- The console's complaints, newest first, and what may be put right about one. Lists go by the follow-ups, which have the
-- complaints' kind, category, severity and retailer, and whose rows who asks may see.
--
-- Lock order: follow_ups, complaints.

CREATE OR REPLACE FUNCTION pick_complaints(p jsonb, OUT ids text[], OUT next jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_from timestamptz := asked_time(p, 'from');
    v_to timestamptz := asked_time(p, 'to');
    v_states text[] := asked_some(p, 'state', follow_up_states() || '{active}'::text[]);
    v_operator text := person_asked(p, 'operator');
    v_after bigint := cursor_number(asked_cursor(p, 1), 0);
    v_whole boolean := asker_everything() OR p -> 'query' ?| '{operator,call}';
    v_ok text := 'true' || clause(' AND f.kind = %L', asked_one(p, 'kind', complaint_kinds()))
        || clause(' AND f.category = %L', asked_text(p, 'category'))
        || clause(' AND f.severity = %L', asked_whole(p, 'severity', 1, 3)::text)
        || CASE WHEN v_states IS NULL THEN '' ELSE format(' AND (f.state = ANY (%L)%s)', v_states,
               CASE WHEN 'active' = ANY (v_states) THEN ' OR f.state <> ''closed''' ELSE '' END) END;
    -- Raised at most seven days before it was stored, and numbered then.
    v_where text := clause(' AND f.complaint < %s', v_after::text)
        || clause(' AND f.raised_at >= %L', v_from::text) || clause(' AND f.raised_at < %L', v_to::text)
        || references_between('complaints', 'f.complaint', v_from, v_to + interval '7 days')
        || clause(' AND f.retailer_id = %s', retailer_asked(p))
        || clause(' AND f.complaint IN (SELECT c.reference FROM complaints c WHERE c.branch_id = ' || v_branch || ' AND c.operator_id = %s', v_operator)
        || CASE WHEN v_operator IS NULL THEN '' ELSE clause(' AND c.reference < %s', v_after::text) || ' ORDER BY c.reference DESC LIMIT 20000)' END
        || clause(' AND f.complaint IN (SELECT c.reference FROM complaints c WHERE c.branch_id = ' || v_branch || ' AND c.call = %L)', p #>> '{query,call}');
    v_rows text;
BEGIN
    v_whole := v_whole AND NOT p -> 'query' ? 'retailer';
    IF v_whole THEN
        v_ok := v_ok || CASE WHEN asker_reports() THEN '' ELSE ' AND f.kind <> ''report''' END
            || CASE WHEN asker_everything() THEN '' ELSE format(' AND (f.kind = ''report'' OR f.owner_id = ANY (%L) OR f.follow_up_id = ANY (%L)
                OR f.retailer_id IN (SELECT r.retailer_id FROM retailers r WHERE r.branch_id = %s%s))', asker_managers(), asker_requests(), v_branch,
                retailers_scope()) END;
        v_rows := format('SELECT f.* FROM follow_ups f WHERE f.branch_id = %s%s', v_branch, v_where);
    ELSE
        -- Open and closed ones of somebody or of a shop have indexes each.
        SELECT string_agg(format('(SELECT f.* %s AND f.state %s ''closed''%s ORDER BY f.complaint DESC LIMIT %s)', source, half, v_where, reach_of(v_ok, asked_limit(p))), ' UNION ALL ')
            INTO v_rows FROM unnest('{=,<>}'::text[]) half CROSS JOIN unnest(follow_ups_sources(p)) source;
    END IF;
    SELECT w.ids, w.next INTO ids, next FROM walk(format('SELECT f.complaint AS id, jsonb_build_array(f.complaint) AS key, %s AS ok FROM (%s) f
        ORDER BY f.complaint DESC', v_ok, v_rows), asked_limit(p), reach_of(v_ok, asked_limit(p))) w;
END $$;
COMMENT ON FUNCTION pick_complaints(jsonb) IS 'The complaints of a page of the list.';

CREATE OR REPLACE FUNCTION complaint_summary(p_reference bigint) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object('reference', c.reference::text, 'kind', c.kind, 'category', c.category, 'severity', c.severity,
            'retailer', CASE WHEN r.retailer_id IS NOT NULL THEN json_build_object('code', r.code, 'name', r.name) END,
            'caller', coalesce(c.caller_phone, c.caller), 'text', left(c.text, 200), 'operator', c.operator_code, 'order', c.order_reference::text,
            'call', c.call, 'raised_at', c.raised_at, 'stored_at', c.stored_at, 'follow_up', f.follow_up_id, 'state', f.state, 'owner', o.code,
            'due_at', f.due_at, 'proof', f.proof)
        FROM complaints c
        JOIN follow_ups f ON f.branch_id = c.branch_id AND f.complaint = c.reference
        LEFT JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
        LEFT JOIN retailers r ON r.branch_id = c.branch_id AND r.retailer_id = c.retailer_id
        WHERE c.branch_id = asker_branch() AND c.reference = p_reference);
END $$;
COMMENT ON FUNCTION complaint_summary(bigint) IS 'A complaint as lists show it.';

CREATE OR REPLACE FUNCTION api_list_complaints(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_ids text[];
    v_next jsonb;
BEGIN
    SELECT ids, next INTO v_ids, v_next FROM pick_complaints(p);
    RETURN page_of((SELECT array_agg(x.item ORDER BY x.n) FILTER (WHERE x.item IS NOT NULL)
        FROM (SELECT complaint_summary(u.id::bigint) AS item, u.n FROM unnest(v_ids) WITH ORDINALITY AS u (id, n)) x), v_next);
END $$;
COMMENT ON FUNCTION api_list_complaints(jsonb) IS 'Complaints, newest first.';

CREATE OR REPLACE FUNCTION api_get_complaint(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_reference bigint := asked_reference(p, 'complaint');
    v_complaint json;
    v_etag text;
BEGIN
    SELECT json_build_object('reference', c.reference::text, 'kind', c.kind, 'category', c.category, 'severity', c.severity,
            'retailer', CASE WHEN r.retailer_id IS NOT NULL THEN json_build_object('code', r.code, 'name', r.name, 'manager', m.code) END,
            'retailer_code', c.retailer_code, 'caller', coalesce(c.caller_phone, c.caller), 'text', c.text, 'operator', c.operator_code,
            'operator_name', w.name, 'raised_at', c.raised_at, 'stored_at', c.stored_at, 'order', order_summary(c.order_reference),
            'call_id', c.call, 'call', call_of(c.call), 'follow_up', follow_up_summary(f.follow_up_id)), f.revision::text
        INTO v_complaint, v_etag
    FROM complaints c
    JOIN follow_ups f ON f.branch_id = c.branch_id AND f.complaint = c.reference
    LEFT JOIN retailers r ON r.branch_id = c.branch_id AND r.retailer_id = c.retailer_id
    LEFT JOIN people m ON m.branch_id = r.branch_id AND m.person_id = r.manager_id
    LEFT JOIN people w ON w.branch_id = c.branch_id AND w.person_id = c.operator_id
    WHERE c.branch_id = asker_branch() AND c.reference = v_reference;
    IF NOT FOUND THEN
        PERFORM found_nothing('complaint');
    END IF;
    RETURN answer_json(v_complaint, 200, v_etag);
END $$;
COMMENT ON FUNCTION api_get_complaint(jsonb) IS 'One complaint with its follow-up, order and call; its ETag is the follow-up''s revision.';

CREATE OR REPLACE FUNCTION change_complaint(p_reference bigint, p_etag text, p_values jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_follow_up follow_ups;
    v_before jsonb;
BEGIN
    SELECT * INTO STRICT v_follow_up FROM follow_ups WHERE branch_id = v_branch AND complaint = p_reference FOR NO KEY UPDATE;
    IF v_follow_up.revision::text <> p_etag THEN
        PERFORM refuse(412, 'changed-meanwhile', 'somebody changed this meanwhile: read it again');
    END IF;
    SELECT jsonb_build_object('category', category, 'severity', severity, 'order', order_reference::text) INTO STRICT v_before
        FROM complaints WHERE branch_id = v_branch AND reference = p_reference FOR NO KEY UPDATE;
    SELECT jsonb_object_agg(n.key, n.value) INTO p_values FROM jsonb_each(p_values) n WHERE v_before -> n.key <> n.value;
    IF p_values IS NULL THEN
        RETURN;
    END IF;
    UPDATE complaints c SET
        category = CASE WHEN p_values ? 'category' THEN p_values ->> 'category' ELSE c.category END,
        severity = CASE WHEN p_values ? 'severity' THEN (p_values ->> 'severity')::smallint ELSE c.severity END,
        order_reference = CASE WHEN p_values ? 'order' THEN (p_values ->> 'order')::bigint ELSE c.order_reference END
        WHERE c.branch_id = v_branch AND c.reference = p_reference;
    UPDATE follow_ups f SET
        category = CASE WHEN p_values ? 'category' THEN p_values ->> 'category' ELSE f.category END,
        severity = CASE WHEN p_values ? 'severity' THEN (p_values ->> 'severity')::smallint ELSE f.severity END
        WHERE f.branch_id = v_branch AND f.complaint = p_reference;
    PERFORM note_history(v_branch, v_follow_up.follow_up_id, 'changed', asker_person(),
        jsonb_build_object('account', asker_actor(), 'from', (SELECT jsonb_object_agg(n.key, v_before -> n.key) FROM jsonb_each(p_values) n), 'to', p_values));
END $$;
COMMENT ON FUNCTION change_complaint(bigint, text, jsonb) IS
    'Puts a complaint''s category, severity or order right, there and in its follow-up; what was before is in the history.';

CREATE OR REPLACE FUNCTION api_change_complaint(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_reference bigint := asked_reference(p, 'complaint');
    v_body jsonb := p -> 'body';
    v_values jsonb := '{}';
    v_found record;
BEGIN
    SELECT c.operator_id, c.retailer_id, c.category, f.revision::text AS etag INTO v_found
        FROM complaints c JOIN follow_ups f ON f.branch_id = c.branch_id AND f.complaint = c.reference
        WHERE c.branch_id = asker_branch() AND c.reference = v_reference;
    IF NOT FOUND THEN
        PERFORM found_nothing('complaint');
    ELSIF asker_role() = 'operator' AND v_found.operator_id IS DISTINCT FROM asker_person() THEN
        PERFORM refuse(403, 'forbidden', 'an operator changes the complaints that he took');
    END IF;
    PERFORM check_members(p, '{category,severity,order}');
    PERFORM check_match(p, v_found.etag);
    IF v_body ? 'category' THEN
        -- a gateway may send words of its own; what is put right is put right to one of the branch's
        IF body_text(p, 'category') <> coalesce(v_found.category, '') AND NOT EXISTS (SELECT FROM categories k
                WHERE k.branch_id = asker_branch() AND k.code = body_text(p, 'category') AND k.retired_at IS NULL) THEN
            PERFORM refuse(422, 'invalid-data', 'the category is none of this branch''s', jsonb_build_array(jsonb_build_object('pointer', '/category',
                'code', 'unknown-category', 'detail', format('no category has the code "%s": GET /api/v1/categories lists them', body_text(p, 'category')))));
        END IF;
        v_values := v_values || jsonb_build_object('category', body_text(p, 'category'));
    END IF;
    IF v_body ? 'severity' THEN
        IF v_body ->> 'severity' !~ '^[123]$' OR jsonb_typeof(v_body -> 'severity') NOT IN ('number', 'null') THEN
            PERFORM fault('/severity', '1, 2 or 3, or null');
        END IF;
        v_values := v_values || jsonb_build_object('severity', v_body -> 'severity');
    END IF;
    IF v_body ? 'order' THEN
        IF v_body ->> 'order' IS NOT NULL AND NOT EXISTS (SELECT FROM orders o WHERE o.branch_id = asker_branch()
                AND o.reference = CASE WHEN reference_is_valid(v_body ->> 'order') THEN (v_body ->> 'order')::bigint END
                AND (v_found.retailer_id IS NULL OR o.retailer_id = v_found.retailer_id)) THEN
            PERFORM refuse(422, 'bad-reference', 'order: no order of this retailer has this reference', jsonb_build_array(jsonb_build_object(
                'pointer', '/order', 'code', 'bad-reference', 'detail', 'no order of this retailer has this reference')));
        END IF;
        v_values := v_values || jsonb_build_object('order', v_body -> 'order');
    END IF;
    PERFORM change_complaint(v_reference, v_found.etag, v_values);
    RETURN api_get_complaint(p);
END $$;
COMMENT ON FUNCTION api_change_complaint(jsonb) IS 'Category, severity and order of a complaint, by If-Match.';

GRANT EXECUTE ON FUNCTION pick_complaints, complaint_summary, api_list_complaints, api_get_complaint, change_complaint, api_change_complaint
    TO ringback_console;
