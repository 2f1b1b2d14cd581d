-- Complaints of one batch, each with its follow-up, the ladder of steps and the notification to whoever owns it, in one
-- transaction. Called by take_events only.

CREATE OR REPLACE FUNCTION policy_for(p_branch integer, p_kind text, p_class text) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT policy_id FROM policies
    WHERE branch_id = p_branch AND valid_from <= now() AND (valid_until IS NULL OR valid_until > now())
      AND (kind IS NULL OR kind = p_kind) AND (class IS NULL OR class = p_class)
    ORDER BY (kind IS NOT NULL)::integer + (class IS NOT NULL)::integer DESC, version DESC, policy_id LIMIT 1
$$;
COMMENT ON FUNCTION policy_for(integer, text, text) IS 'The policy in force with the most conditions that fit.';

-- Owner: the retailer's manager; for a number that several retailers share, the manager they have in common; else, and when
-- he is retired, the duty supervisor; else nobody (null), which the metrics show.
CREATE OR REPLACE FUNCTION take_complaints(
    p_skip integer[], p_branch integer[], p_gateway integer[], p_time timestamptz[], p_head text[],
    p_event integer[], p_retailer text[], p_caller text[], p_phone text[], p_call text[], p_operator text[],
    p_text text[], p_kind text[], p_category text[], p_severity integer[], p_order text[])
RETURNS TABLE (event integer, outcome text, answer text, code text, errors text)
LANGUAGE plpgsql ROWS 64 AS $$
#variable_conflict use_column
DECLARE
    v_retailer integer[];
    v_owner integer[];
    v_operator integer[];
    v_order bigint[];
    v_policy integer[];
    v_deadline interval[];
    v_reference bigint[];
    v_follow_up bigint[];
    v_raised timestamptz[];
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

    SELECT array_agg(q.retailer_id ORDER BY x.n), array_agg(coalesce(m.person_id, duty_supervisor(p_branch[x.event])) ORDER BY x.n),
           array_agg(o.person_id ORDER BY x.n), array_agg(p.policy_id ORDER BY x.n), array_agg(p.deadline ORDER BY x.n),
           array_agg(plausible_time(p_time[x.event]) ORDER BY x.n)
        INTO v_retailer, v_owner, v_operator, v_policy, v_deadline, v_raised
    FROM unnest(p_event, p_retailer, p_phone, p_operator, p_kind) WITH ORDINALITY AS x (event, code, phone, operator, kind, n)
    LEFT JOIN LATERAL (
        -- retailer_id and class only when it is one retailer; manager_id when all of them have the same.
        SELECT CASE WHEN count(*) = 1 THEN min(f.retailer_id) END AS retailer_id,
               CASE WHEN count(*) = 1 THEN min(f.class) END AS class,
               CASE WHEN count(DISTINCT f.manager_id) = 1 THEN min(f.manager_id) END AS manager_id
        FROM (SELECT r.retailer_id, r.class, r.manager_id FROM retailers r
              WHERE r.branch_id = p_branch[x.event] AND r.code = x.code
              UNION ALL
              SELECT r.retailer_id, r.class, r.manager_id FROM retailer_phones h JOIN retailers r USING (branch_id, retailer_id)
              WHERE x.code IS NULL AND h.branch_id = p_branch[x.event] AND h.phone = x.phone AND r.retired_at IS NULL) f
        ) q ON true
    LEFT JOIN people m ON m.branch_id = p_branch[x.event] AND m.person_id = q.manager_id AND m.retired_at IS NULL
    LEFT JOIN people o ON o.branch_id = p_branch[x.event] AND o.code = x.operator AND o.role = 'operator'
        AND o.retired_at IS NULL
    LEFT JOIN policies p ON p.branch_id = p_branch[x.event] AND p.policy_id = policy_for(p_branch[x.event], x.kind, q.class);

    SELECT array_agg(reference_of(x.body) ORDER BY x.n), array_agg(x.follow_up ORDER BY x.n) INTO v_reference, v_follow_up
    FROM (SELECT x.n, nextval(b.reference_sequence) AS body,
                 nextval(pg_get_serial_sequence('ringback.follow_ups', 'follow_up_id')) AS follow_up
          FROM unnest(p_event) WITH ORDINALITY AS x (event, n)
          JOIN branches b ON b.branch_id = p_branch[x.event] OFFSET 0) x;

    INSERT INTO complaints (branch_id, reference, kind, retailer_id, retailer_code, caller, caller_phone, text, category, severity,
                            order_reference, call, gateway_id, operator_id, operator_code, raised_at)
    SELECT p_branch[x.event], x.reference, x.kind, x.retailer, x.retailer_code, x.caller, x.phone, x.text, x.category, x.severity,
           x.order_reference, x.call, p_gateway[x.event], x.operator_id, x.operator, x.raised
    FROM unnest(p_event, v_reference, p_kind, v_retailer, p_retailer, p_caller, p_phone, p_text, p_category, p_severity,
                v_order, p_call, v_operator, p_operator, v_raised)
        AS x (event, reference, kind, retailer, retailer_code, caller, phone, text, category, severity, order_reference, call,
              operator_id, operator, raised)
    WHERE x.event <> ALL (p_skip);

    INSERT INTO follow_ups (branch_id, follow_up_id, complaint, retailer_id, owner_id, policy_id, raised_at, due_at)
        OVERRIDING SYSTEM VALUE
    SELECT p_branch[x.event], x.follow_up, x.reference, x.retailer, x.owner, x.policy, x.raised, x.raised + x.deadline
    FROM unnest(p_event, v_follow_up, v_reference, v_retailer, v_owner, v_policy, v_raised, v_deadline)
        AS x (event, follow_up, reference, retailer, owner, policy, raised, deadline)
    WHERE x.event <> ALL (p_skip);

    -- Of the steps that are past already only the latest is left for the clock, which fires it at once.
    INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, channels, due_at, fired_at, skipped)
    SELECT branch_id, follow_up_id, step, action, whom, channels, due_at, CASE WHEN late THEN now() END, CASE WHEN late THEN 'late' END
    FROM (SELECT s.branch_id, x.follow_up AS follow_up_id, s.step, s.action, s.whom, s.channels, t.due_at,
                 t.due_at <= now() AND row_number() OVER (PARTITION BY x.follow_up, t.due_at <= now()
                                                          ORDER BY t.due_at DESC, s.step DESC) > 1 AS late
          FROM unnest(p_event, v_follow_up, v_policy, v_raised, v_deadline) AS x (event, follow_up, policy, raised, deadline)
          JOIN policy_steps s ON s.branch_id = p_branch[x.event] AND s.policy_id = x.policy
          CROSS JOIN LATERAL (SELECT x.raised + x.deadline * s.share::double precision + s.plus AS due_at) t
          WHERE x.event <> ALL (p_skip)) q;

    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, details)
    SELECT p_branch[x.event], x.follow_up, 'opened', '{}'
    FROM unnest(p_event, v_follow_up) AS x (event, follow_up) WHERE x.event <> ALL (p_skip);

    PERFORM make_notifications(array_agg(p_branch[x.event]), array_agg(x.follow_up), array_agg('assigned'::text),
                               array_agg('assigned'::text), array_agg(x.owner))
    FROM unnest(p_event, v_follow_up, v_owner) AS x (event, follow_up, owner) WHERE x.event <> ALL (p_skip)
    HAVING count(*) > 0;

    -- The manager may have called back before the complaint itself arrived.
    PERFORM prove_from_known_calls(array_agg(p_branch[x.event]), array_agg(x.follow_up))
    FROM unnest(p_event, v_follow_up) AS x (event, follow_up) WHERE x.event <> ALL (p_skip) HAVING count(*) > 0;

    RETURN QUERY SELECT x.event, 'accepted',
            p_head[x.event] || ',"complaint":{"reference":"' || x.reference || '","follow_up":' || x.follow_up
                || ',"due_at":' || to_json(x.raised + x.deadline) || ',"manager":' || coalesce(to_json(m.code)::text, 'null')
                || ',"call":' || coalesce(to_json(x.call)::text, 'null') || '}}', NULL::text, NULL::text
        FROM unnest(p_event, v_reference, v_follow_up, v_raised, v_deadline, v_owner, p_call)
            AS x (event, reference, follow_up, raised, deadline, owner, call)
        LEFT JOIN people m ON m.branch_id = p_branch[x.event] AND m.person_id = x.owner
        WHERE x.event <> ALL (p_skip);
END $$;
COMMENT ON FUNCTION take_complaints(integer[], integer[], integer[], timestamptz[], text[], integer[], text[], text[], text[], text[],
                                    text[], text[], text[], text[], integer[], text[]) IS
    'Stores the complaints of a batch with their promises; called by take_events.';
