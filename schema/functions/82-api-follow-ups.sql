-- The console's list of follow-ups, by deadline, and one of them. What changes them is elsewhere; the document is
-- 83-follow-up-document.sql's.
--
-- How a page is found (81-asked.sql: walk): for each state the index in the order (due_at, id) is read as far as the page goes, and
-- the states are merged; for who sees some people's work only those people's and their retailers'.

CREATE OR REPLACE FUNCTION follow_ups_where(p jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_late constant text := 'f.due_at < now() AND f.contacted_at IS NULL AND f.state IN (''open'', ''acknowledged'')';
BEGIN
    RETURN 'true' || clause(' AND f.kind = %L', asked_one(p, 'kind', complaint_kinds()))
        || clause(' AND f.category = %L', asked_text(p, 'category'))
        || clause(' AND f.severity = %L', asked_whole(p, 'severity', 1, 3)::text)
        || CASE asked_one(p, 'proof', '{none,recorded,proved}') WHEN 'none' THEN ' AND f.proof IS NULL' ELSE '' END
        || CASE asked_flag(p, 'overdue') WHEN true THEN ' AND ' || v_late WHEN false THEN ' AND NOT (' || v_late || ')' ELSE '' END
        || CASE asked_flag(p, 'unacknowledged') WHEN true THEN ' AND f.state = ''open''' WHEN false THEN ' AND f.state <> ''open''' ELSE '' END
        || clause(' AND f.area_id = %s', area_asked(p));
END $$;
COMMENT ON FUNCTION follow_ups_where(jsonb) IS 'What a request''s filters ask of follow-ups f that no index finds.';

-- Where the rows come from: alternatives that share none, each the beginning of a query over follow-ups f. Together they are what
-- the policy of follow_ups lets through, said so that indexes serve it.
CREATE OR REPLACE FUNCTION follow_ups_sources(p jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_branch integer := asker_branch();
    v_all text := format('FROM follow_ups f WHERE f.branch_id = %s', v_branch);
    v_reports text[] := CASE WHEN asker_reports() THEN ARRAY[v_all || ' AND f.kind = ''report'''] ELSE '{}' END;
    v_asked text[] := '{}';
BEGIN
    IF asker_everything() OR p -> 'query' ?| '{owner,mine,manager,retailer}' THEN
        RETURN ARRAY[v_all || CASE WHEN asker_reports() THEN '' ELSE ' AND f.kind <> ''report''' END];
    END IF;
    -- What others own and ask him about.
    IF asker_requests() <> '{}' THEN
        v_asked := ARRAY[v_all || format(' AND f.kind <> ''report'' AND f.follow_up_id = ANY (%L) AND (f.owner_id IS NULL OR f.owner_id <> ALL (%L))',
                asker_requests(), asker_managers())
            || CASE WHEN asker_role() IN ('account_manager', 'market_manager') THEN ' AND NOT EXISTS (SELECT FROM retailers r
                WHERE r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id' || retailers_scope() || ')' ELSE '' END];
    END IF;
    IF asker_role() NOT IN ('account_manager', 'market_manager') THEN
        RETURN v_reports || v_asked || ARRAY[v_all || format(' AND f.kind <> ''report'' AND f.owner_id = ANY (%L)', asker_managers())];
    END IF;
    -- Each manager's own in their order; then what others own of his retailers.
    RETURN v_reports || v_asked || ARRAY(SELECT v_all || format(' AND f.kind <> ''report'' AND f.owner_id = %s', m) FROM unnest(asker_managers()) m)
        || ARRAY[v_all || format(' AND f.retailer_id = ANY (ARRAY(SELECT r.retailer_id FROM retailers r WHERE r.branch_id = %s%s))
            AND f.kind <> ''report'' AND (f.owner_id IS NULL OR f.owner_id <> ALL (%L))', v_branch, retailers_scope(), asker_managers())];
END $$;
COMMENT ON FUNCTION follow_ups_sources(jsonb) IS 'From where the follow-ups come that who asks may see.';

CREATE OR REPLACE FUNCTION follow_ups_in_states(p jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_wanted text[] := coalesce(asked_some(p, 'state', follow_up_states() || '{active}'::text[]), follow_up_states());
BEGIN
    RETURN ARRAY(SELECT s FROM unnest(follow_up_states()) s
        WHERE (s = ANY (v_wanted) OR ('active' = ANY (v_wanted) AND s <> 'closed'))
          AND (asked_flag(p, 'overdue') IS NOT TRUE OR s IN ('open', 'acknowledged'))
          -- Reopening forgets the contact.
          AND (coalesce(p #>> '{query,proof}', 'none') = 'none' OR s NOT IN ('open', 'acknowledged')));
END $$;
COMMENT ON FUNCTION follow_ups_in_states(jsonb) IS 'The states that a request''s filters leave.';

CREATE OR REPLACE FUNCTION pick_follow_ups(p jsonb, OUT ids text[], OUT next jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_after jsonb := asked_cursor(p, 2);
    v_way text := CASE asked_one(p, 'order', '{due_at,-due_at}') WHEN '-due_at' THEN 'DESC' ELSE 'ASC' END;
    v_range text := clause(' AND f.due_at >= %L', asked_time(p, 'due_after')::text) || clause(' AND f.due_at < %L', asked_time(p, 'due_before')::text)
        || CASE WHEN asked_flag(p, 'overdue') THEN ' AND f.due_at < now()' ELSE '' END
        || CASE WHEN v_after IS NULL THEN '' ELSE format(' AND (f.due_at, f.follow_up_id) %s (%L, %L)',
               CASE v_way WHEN 'ASC' THEN '>' ELSE '<' END, cursor_time(v_after, 0), cursor_number(v_after, 1)) END
        || clause(' AND f.retailer_id = %s', retailer_asked(p)) || clause(' AND f.owner_id = %s', person_asked(p, 'owner'))
        || CASE WHEN asked_flag(p, 'mine') THEN format(' AND f.owner_id = %s', coalesce(asker_person(), -1)) ELSE '' END
        || clause(' AND f.retailer_id IN (SELECT r.retailer_id FROM retailers r WHERE r.branch_id = ' || asker_branch() || ' AND r.manager_id = %s)',
                  person_asked(p, 'manager'))
        || CASE asked_one(p, 'proof', '{none,recorded,proved}') WHEN 'recorded' THEN ' AND f.proof = ''recorded'''
               WHEN 'proved' THEN ' AND f.proof = ''proved''' ELSE '' END;
    v_order text := format(' ORDER BY f.due_at %1$s, f.follow_up_id %1$s', v_way);
    v_ok text := follow_ups_where(p);
    v_reach integer := reach_of(v_ok, asked_limit(p));
    v_rows text;
BEGIN
    SELECT string_agg(format('(SELECT f.follow_up_id, f.due_at, %s AS ok %s AND f.state = %L%s%s LIMIT %s)',
                             v_ok, source, state, v_range, v_order, v_reach), ' UNION ALL ') INTO v_rows
        FROM unnest(follow_ups_in_states(p)) state CROSS JOIN unnest(follow_ups_sources(p)) source;
    SELECT w.ids, w.next INTO ids, next
        FROM walk(format('SELECT f.follow_up_id AS id, jsonb_build_array(f.due_at, f.follow_up_id) AS key, f.ok FROM (%s) f%s', v_rows, v_order),
                  asked_limit(p), v_reach) w WHERE v_rows IS NOT NULL;
END $$;
COMMENT ON FUNCTION pick_follow_ups(jsonb) IS 'The follow-ups of a page of the list.';

CREATE OR REPLACE FUNCTION follow_up_summary(p_follow_up bigint) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object('id', f.follow_up_id, 'complaint', f.complaint::text, 'state', f.state, 'kind', f.kind,
            'category', f.category, 'severity', f.severity, 'area', a.code, 'owner', o.code, 'owner_name', o.name,
            'retailer', CASE WHEN r.retailer_id IS NOT NULL THEN json_build_object('code', r.code, 'name', r.name) END,
            'raised_at', f.raised_at, 'due_at', f.due_at, 'work_due_at', f.work_due_at, 'promised_at', f.promised_at,
            'acknowledged_at', f.acknowledged_at, 'first_try_at', f.first_try_at, 'contacted_at', f.contacted_at, 'proof', f.proof,
            'resolved_at', f.resolved_at, 'satisfied', f.satisfied, 'reopened', f.reopened, 'merged_into', f.merged_into,
            'closed_at', f.closed_at, 'revision', f.revision, 'text', left(c.text, 200))
        FROM follow_ups f
        JOIN complaints c ON c.branch_id = f.branch_id AND c.reference = f.complaint
        LEFT JOIN areas a ON a.branch_id = f.branch_id AND a.area_id = f.area_id
        LEFT JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
        LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id
        WHERE f.branch_id = asker_branch() AND f.follow_up_id = p_follow_up);
END $$;
COMMENT ON FUNCTION follow_up_summary(bigint) IS 'A follow-up as lists show it.';

CREATE OR REPLACE FUNCTION api_list_follow_ups(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_ids text[];
    v_next jsonb;
BEGIN
    SELECT ids, next INTO v_ids, v_next FROM pick_follow_ups(p);
    RETURN page_of((SELECT array_agg(x.item ORDER BY x.n) FILTER (WHERE x.item IS NOT NULL)
        FROM (SELECT follow_up_summary(u.id::bigint) AS item, u.n FROM unnest(v_ids) WITH ORDINALITY AS u (id, n)) x), v_next);
END $$;
COMMENT ON FUNCTION api_list_follow_ups(jsonb) IS 'Follow-ups by deadline.';

CREATE OR REPLACE FUNCTION api_get_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_document jsonb := follow_up_document(asked_id(p, 'follow-up'));
BEGIN
    IF v_document IS NULL THEN
        PERFORM found_nothing('follow-up');
    END IF;
    RETURN answer_json(v_document, 200, v_document ->> 'revision');
END $$;
COMMENT ON FUNCTION api_get_follow_up(jsonb) IS 'One follow-up, whole; its ETag is its revision.';

GRANT EXECUTE ON FUNCTION pick_follow_ups, follow_up_summary, api_list_follow_ups, api_get_follow_up
    TO ringback_console;
