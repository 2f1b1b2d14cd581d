-- Complaints of one batch, each with its follow-up (36-open-follow-ups.sql), in one transaction. Called by take_events only.

-- Who should own it: the retailer's manager; for a number that several retailers share, the manager they have in common.
CREATE OR REPLACE FUNCTION take_complaints(
    p_skip integer[], p_branch integer[], p_gateway integer[], p_time timestamptz[], p_head text[],
    p_event integer[], p_retailer text[], p_caller text[], p_phone text[], p_call text[], p_operator text[],
    p_text text[], p_kind text[], p_category text[], p_severity integer[], p_order text[])
RETURNS TABLE (event integer, outcome text, answer text, code text, errors text)
LANGUAGE plpgsql ROWS 64 AS $$
#variable_conflict use_column
DECLARE
    v_order bigint[];
    v_item integer[];
    v_event integer[];
    v_branch integer[];
    v_reference bigint[];
    v_retailer integer[];
    v_manager integer[];
    v_operator integer[];
    v_kind text[];
    v_category text[];
    v_severity integer[];
    v_raised timestamptz[];
    v_made record;
BEGIN
    SELECT array_agg(o.reference ORDER BY x.n) INTO v_order
    FROM unnest(p_event, p_order) WITH ORDINALITY AS x (event, reference, n)
    LEFT JOIN orders o ON o.branch_id = p_branch[x.event]
        AND o.reference = CASE WHEN reference_is_valid(x.reference) THEN x.reference::bigint END;
    RETURN QUERY SELECT x.event, 'refused', NULL::text, 'bad-reference',
            json_build_array(json_build_object('pointer', '/order', 'code', 'bad-reference', 'detail',
                CASE WHEN reference_is_valid(x.wanted) THEN 'no order has this reference'
                     ELSE 'not a reference: ten digits, the last one a check digit' END))::text
        FROM unnest(p_event, p_order, v_order) AS x (event, wanted, found)
        WHERE x.wanted IS NOT NULL AND x.found IS NULL AND x.event <> ALL (p_skip);
    p_skip := p_skip || (SELECT coalesce(array_agg(x.event), '{}')
        FROM unnest(p_event, p_order, v_order) AS x (event, wanted, found) WHERE x.wanted IS NOT NULL AND x.found IS NULL);

    -- From here on: item i of every array of this function is one complaint that is taken.
    SELECT array_agg(x.event ORDER BY x.n), array_agg(p_branch[x.event] ORDER BY x.n), array_agg(q.retailer_id ORDER BY x.n),
           array_agg(q.manager_id ORDER BY x.n), array_agg(o.person_id ORDER BY x.n), array_agg(x.kind ORDER BY x.n),
           array_agg(x.category ORDER BY x.n), array_agg(x.severity ORDER BY x.n), array_agg(plausible_time(p_time[x.event]) ORDER BY x.n),
           array_agg(reference_of(nextval(b.reference_sequence)) ORDER BY x.n), array_agg(x.n::integer ORDER BY x.n)
        INTO v_event, v_branch, v_retailer, v_manager, v_operator, v_kind, v_category, v_severity, v_raised, v_reference, v_item
    FROM unnest(p_event, p_retailer, p_phone, p_operator, p_kind, p_category, p_severity)
        WITH ORDINALITY AS x (event, code, phone, operator, kind, category, severity, n)
    JOIN branches b ON b.branch_id = p_branch[x.event]
    LEFT JOIN LATERAL (
        -- retailer_id only when it is one retailer; manager_id when all of them have the same.
        SELECT CASE WHEN count(*) = 1 THEN min(f.retailer_id) END AS retailer_id,
               CASE WHEN count(DISTINCT f.manager_id) = 1 THEN min(f.manager_id) END AS manager_id
        FROM (SELECT r.retailer_id, r.manager_id FROM retailers r
              WHERE r.branch_id = p_branch[x.event] AND r.code = x.code
              UNION ALL
              SELECT r.retailer_id, r.manager_id FROM retailer_phones h JOIN retailers r USING (branch_id, retailer_id)
              WHERE x.code IS NULL AND h.branch_id = p_branch[x.event] AND h.phone = x.phone AND r.retired_at IS NULL) f
        ) q ON true
    LEFT JOIN people o ON o.branch_id = p_branch[x.event] AND o.code = x.operator AND o.role = 'operator'
        AND o.retired_at IS NULL
    WHERE x.event <> ALL (p_skip);
    IF v_event IS NULL THEN
        RETURN;
    END IF;

    INSERT INTO complaints (branch_id, reference, kind, retailer_id, retailer_code, caller, caller_phone, text, category, severity,
                            order_reference, call, gateway_id, operator_id, operator_code, raised_at)
    SELECT x.branch, x.reference, x.kind, x.retailer, p_retailer[x.i], p_caller[x.i], p_phone[x.i], p_text[x.i], x.category, x.severity,
           v_order[x.i], p_call[x.i], p_gateway[x.event], x.operator_id, p_operator[x.i], x.raised
    FROM unnest(v_event, v_branch, v_reference, v_kind, v_retailer, v_category, v_severity, v_operator, v_raised, v_item)
        AS x (event, branch, reference, kind, retailer, category, severity, operator_id, raised, i);

    SELECT * INTO v_made FROM open_follow_ups(v_branch, v_reference, v_retailer, v_manager, v_kind, v_category, v_severity, v_raised);

    RETURN QUERY SELECT x.event, 'accepted',
            p_head[x.event] || ',"complaint":{"reference":"' || x.reference || '","follow_up":' || x.follow_up
                || ',"due_at":' || to_json(x.due) || ',"manager":' || coalesce(to_json(m.code)::text, 'null')
                || ',"call":' || coalesce(to_json(p_call[x.i])::text, 'null') || '}}', NULL::text, NULL::text
        FROM unnest(v_event, v_branch, v_reference, v_made.v_follow_up, v_made.v_due, v_made.v_owner, v_item)
            AS x (event, branch, reference, follow_up, due, owner, i)
        LEFT JOIN people m ON m.branch_id = x.branch AND m.person_id = x.owner;
END $$;
COMMENT ON FUNCTION take_complaints(integer[], integer[], integer[], timestamptz[], text[], integer[], text[], text[], text[], text[],
                                    text[], text[], text[], text[], integer[], text[]) IS
    'Stores the complaints of a batch with their promises; called by take_events.';
