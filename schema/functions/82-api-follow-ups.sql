-- The console's list of follow-ups, by deadline, and one of them. What changes them is elsewhere; the document is
-- 83-follow-up-document.sql's.
--
-- How a page is found: for each state the index in the order (due_at, id) is read as far as the page goes, and the few rows of
-- each are merged. Who sees some people's work reads those people's and their retailers' alone: row-level security by itself
-- would have all of the branch read to throw most away.

CREATE OR REPLACE FUNCTION follow_ups_where(p jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_branch integer := asker_branch();
    v_late constant text := 'f.due_at < now() AND f.contacted_at IS NULL AND f.state IN (''open'', ''acknowledged'')';
BEGIN
    RETURN clause(' AND f.kind = %L', asked_one(p, 'kind', complaint_kinds()))
        || clause(' AND f.category = %L', asked_text(p, 'category'))
        || clause(' AND f.severity = %L', asked_whole(p, 'severity', 1, 3)::text)
        || clause(' AND f.due_at >= %L', asked_time(p, 'due_after')::text)
        || clause(' AND f.due_at < %L', asked_time(p, 'due_before')::text)
        || CASE asked_one(p, 'proof', '{none,recorded,proved}') WHEN 'none' THEN ' AND f.proof IS NULL'
               WHEN 'recorded' THEN ' AND f.proof = ''recorded''' WHEN 'proved' THEN ' AND f.proof = ''proved''' ELSE '' END
        || CASE asked_flag(p, 'overdue') WHEN true THEN ' AND ' || v_late WHEN false THEN ' AND NOT (' || v_late || ')' ELSE '' END
        || CASE asked_flag(p, 'unacknowledged') WHEN true THEN ' AND f.acknowledged_at IS NULL'
               WHEN false THEN ' AND f.acknowledged_at IS NOT NULL' ELSE '' END
        || clause(' AND f.area_id = %s', area_asked(p))
        || clause(' AND f.retailer_id = %s', retailer_asked(p))
        || clause(' AND f.owner_id = %s', person_asked(p, 'owner'))
        || CASE WHEN asked_flag(p, 'mine') THEN format(' AND f.owner_id = %s', coalesce(asker_person(), -1)) ELSE '' END
        || clause(' AND f.retailer_id IN (SELECT r.retailer_id FROM retailers r WHERE r.branch_id = ' || v_branch || ' AND r.manager_id = %s)',
                  person_asked(p, 'manager'));
END $$;
COMMENT ON FUNCTION follow_ups_where(jsonb) IS 'The conditions of a request''s filters over follow-ups f.';

-- Where the rows come from: alternatives that share none, each the beginning of a query over follow-ups f.
CREATE OR REPLACE FUNCTION follow_ups_sources(p jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_branch integer := asker_branch();
    v_all text := format('FROM follow_ups f WHERE f.branch_id = %s', v_branch);
    v_reports text[] := CASE WHEN asker_reports() THEN ARRAY[v_all || ' AND f.kind = ''report'''] ELSE '{}' END;
    v_asked text[] := '{}';
BEGIN
    IF asker_everything() OR p -> 'query' ?| '{owner,mine,manager,retailer}' THEN
        RETURN ARRAY[v_all];
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
        || ARRAY[format('FROM retailers r JOIN follow_ups f ON f.branch_id = r.branch_id AND f.retailer_id = r.retailer_id
            WHERE r.branch_id = %s%s AND f.kind <> ''report'' AND (f.owner_id IS NULL OR f.owner_id <> ALL (%L))',
            v_branch, retailers_scope(), asker_managers())];
END $$;
COMMENT ON FUNCTION follow_ups_sources(jsonb) IS 'From where the follow-ups come that who asks may see.';

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
    v_limit integer := asked_limit(p);
    v_after jsonb := asked_cursor(p, 2);
    v_down boolean := coalesce(asked_one(p, 'order', '{due_at,-due_at}'), 'due_at') = '-due_at';
    v_wanted text[] := coalesce(asked_some(p, 'state', follow_up_states() || '{active}'::text[]), follow_up_states());
    v_states text[] := ARRAY(SELECT s FROM unnest(follow_up_states()) s
                             WHERE s = ANY (v_wanted) OR ('active' = ANY (v_wanted) AND s <> 'closed'));
    v_order text := format(' ORDER BY f.due_at %1$s, f.follow_up_id %1$s LIMIT %2$s', CASE WHEN v_down THEN 'DESC' ELSE 'ASC' END, v_limit + 1);
    v_where text := follow_ups_where(p) || CASE WHEN v_after IS NULL THEN '' ELSE format(' AND (f.due_at, f.follow_up_id) %s (%L, %L)',
        CASE WHEN v_down THEN '<' ELSE '>' END, cursor_time(v_after, 0), cursor_number(v_after, 1)) END;
    v_pages text;
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT string_agg(format('(SELECT f.follow_up_id, f.due_at %s AND f.state = %L%s%s)', source, state, v_where, v_order), ' UNION ALL ')
        INTO v_pages FROM unnest(v_states) state CROSS JOIN unnest(follow_ups_sources(p)) source;
    EXECUTE format('SELECT array_agg(follow_up_summary(f.follow_up_id)), array_agg(jsonb_build_array(f.due_at, f.follow_up_id))
                    FROM (SELECT * FROM (%s) f%s) f', v_pages, v_order) INTO v_items, v_keys;
    RETURN page_of(v_items, v_keys, v_limit);
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

GRANT EXECUTE ON FUNCTION follow_ups_where, follow_ups_sources, follow_up_summary, api_list_follow_ups, api_get_follow_up
    TO ringback_console;
