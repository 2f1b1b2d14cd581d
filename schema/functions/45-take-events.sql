-- The one write function of intake: a batch of checked events in, one outcome for each out, in one transaction.
--
-- Every event that is new is stored with its effect and its answer; one that is known gives its first answer again or is a
-- conflict; one whose look-ups fail is refused and leaves nothing. The caller sees to it that no key (branch, source, id)
-- is twice in a batch.
--
-- Lock order: sources; cycle_uses (branch, retailer, product); calls (branch, call); follow_ups (branch, follow-up);
-- events (branch, source, id). Registering the events comes last, with their answers, so that a row of the register is written
-- once and never changed: a key that another transaction registered meanwhile makes the whole batch run again (40001), and then
-- it is known.

CREATE OR REPLACE FUNCTION take_events(
    p_branch integer[], p_gateway integer[], p_source text[], p_id text[], p_hash bytea[], p_type text[], p_time timestamptz[],
    p_head text[], p_data text[],
    o_event integer[], o_retailer text[], o_phone text[], o_call text[], o_operator text[], o_note text[],
    l_order integer[], l_line integer[], l_product text[], l_cartons integer[],
    c_event integer[], c_retailer text[], c_caller text[], c_phone text[], c_call text[], c_operator text[],
    c_text text[], c_kind text[], c_category text[], c_severity integer[], c_order text[],
    k_event integer[], k_call text[], k_state integer[], k_direction text[], k_from text[], k_to text[],
    k_from_phone text[], k_to_phone text[], k_seconds integer[], k_cause text[], k_recording text[])
RETURNS TABLE (event integer, outcome text, answer text, code text, errors text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp ROWS 64 AS $$
#variable_conflict use_column
DECLARE
    v_source integer[];
    v_known integer[];
    v_gateways integer;
    v_event integer[];
    v_outcome text[];
    v_answer text[];
    v_code text[];
    v_errors text[];
    v_stored integer;
BEGIN
    FOR attempt IN 1..2 LOOP
        SELECT array_agg(s.source_id ORDER BY x.n), array_agg(x.n::integer) FILTER (WHERE e.event_id IS NOT NULL),
               count(g.gateway_id)
            INTO v_source, v_known, v_gateways
        FROM unnest(p_branch, p_gateway, p_source, p_id) WITH ORDINALITY AS x (branch, gateway, source, id, n)
        LEFT JOIN gateways g ON g.branch_id = x.branch AND g.gateway_id = x.gateway
        LEFT JOIN sources s ON s.branch_id = x.branch AND s.source = x.source
        LEFT JOIN events e ON e.branch_id = x.branch AND e.source_id = s.source_id AND e.event_id = x.id;
        EXIT WHEN array_position(v_source, NULL) IS NULL;
        INSERT INTO sources (branch_id, source)
        SELECT DISTINCT x.branch, x.source FROM unnest(p_branch, p_source, v_source) AS x (branch, source, known)
        WHERE x.known IS NULL ORDER BY 1, 2 ON CONFLICT (branch_id, source) DO NOTHING;
    END LOOP;
    -- Rows of events, orders and calls carry no foreign key to their gateway: this is the check.
    IF v_gateways <> cardinality(p_branch) THEN
        RAISE EXCEPTION 'an event of a gateway that is not there' USING ERRCODE = 'foreign_key_violation';
    END IF;

    IF v_known IS NULL THEN
        v_known := '{}';
    ELSE
        -- What a repetition finds may be committed here alone, when its first wait for a synchronous standby was broken off.
        -- It is acknowledged now, so now it waits again: this commit does, once it has a record of its own to wait for.
        IF current_setting('synchronous_standby_names') <> '' THEN
            PERFORM pg_logical_emit_message(true, 'ringback', 'repetition');
        END IF;
        RETURN QUERY SELECT x.n, CASE WHEN e.content_hash = p_hash[x.n] THEN 'replayed' ELSE 'conflict' END, e.answer,
                            NULL::text, NULL::text
            FROM unnest(v_known) AS x (n)
            JOIN events e ON e.branch_id = p_branch[x.n] AND e.source_id = v_source[x.n] AND e.event_id = p_id[x.n];
        INSERT INTO audit_log (branch_id, actor, action, subject, details)
        SELECT p_branch[x.n], 'gateway:' || g.name, 'event-conflict', p_source[x.n] || ' ' || p_id[x.n],
               jsonb_build_object('type', p_type[x.n], 'stored_at', e.stored_at)
            FROM unnest(v_known) AS x (n)
            JOIN events e ON e.branch_id = p_branch[x.n] AND e.source_id = v_source[x.n] AND e.event_id = p_id[x.n]
            JOIN gateways g ON g.branch_id = p_branch[x.n] AND g.gateway_id = p_gateway[x.n]
            WHERE e.content_hash <> p_hash[x.n];
    END IF;

    -- Most batches have one kind only: what is not there costs nothing.
    IF cardinality(o_event) > 0 THEN
        SELECT array_agg(t.event), array_agg(t.outcome), array_agg(t.answer), array_agg(t.code), array_agg(t.errors)
            INTO v_event, v_outcome, v_answer, v_code, v_errors
        FROM take_orders(v_known, p_branch, p_gateway, p_time, p_head, o_event, o_retailer, o_phone, o_call, o_operator, o_note,
                         l_order, l_line, l_product, l_cartons) t;
    END IF;
    IF cardinality(c_event) > 0 THEN
        SELECT v_event || array_agg(t.event), v_outcome || array_agg(t.outcome), v_answer || array_agg(t.answer),
               v_code || array_agg(t.code), v_errors || array_agg(t.errors)
            INTO v_event, v_outcome, v_answer, v_code, v_errors
        FROM take_complaints(v_known, p_branch, p_gateway, p_time, p_head, c_event, c_retailer, c_caller, c_phone, c_call,
                             c_operator, c_text, c_kind, c_category, c_severity, c_order) t;
    END IF;
    IF cardinality(k_event) > 0 THEN
        SELECT v_event || array_agg(t.event), v_outcome || array_agg(t.outcome), v_answer || array_agg(t.answer),
               v_code || array_agg(t.code), v_errors || array_agg(t.errors)
            INTO v_event, v_outcome, v_answer, v_code, v_errors
        FROM take_calls(v_known, p_branch, p_gateway, p_time, p_head, k_event, k_call, k_state, k_direction, k_from, k_to,
                        k_from_phone, k_to_phone, k_seconds, k_cause, k_recording) t;
    END IF;
    IF v_event IS NULL THEN
        RETURN;
    END IF;
    IF 'raced' = ANY (v_outcome) THEN
        RAISE EXCEPTION 'a counter was made meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;

    IF cardinality(o_event) + cardinality(c_event) > 0 AND EXISTS (SELECT FROM missed_calls) THEN
        PERFORM settle_missed_calls(array_agg(p_branch[x.event]), array_agg(x.call))
        FROM unnest(o_event || c_event, o_call || c_call) AS x (event, call) HAVING count(x.call) > 0;
    END IF;

    WITH accepted AS MATERIALIZED (
        SELECT x.n, x.answer FROM unnest(v_event, v_outcome, v_answer) AS x (n, outcome, answer) WHERE x.outcome = 'accepted'
    ), registered AS (
        INSERT INTO events (branch_id, source_id, event_id, content_hash, answer)
        SELECT p_branch[x.n], v_source[x.n], p_id[x.n], p_hash[x.n], x.answer FROM accepted x
        ORDER BY 1, 2, 3
        ON CONFLICT (branch_id, source_id, event_id) DO NOTHING
        RETURNING true
    ), kept AS (
        INSERT INTO event_bodies (branch_id, source_id, event_id, gateway_id, type, event_time, data)
        SELECT p_branch[x.n], v_source[x.n], p_id[x.n], p_gateway[x.n], p_type[x.n], p_time[x.n], p_data[x.n] FROM accepted x
    )
    SELECT count(*) INTO v_stored FROM registered;
    IF v_stored <> cardinality(array_positions(v_outcome, 'accepted')) THEN
        RAISE EXCEPTION 'an event of the batch was stored meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;

    RETURN QUERY SELECT * FROM unnest(v_event, v_outcome, v_answer, v_code, v_errors);
END $$;
REVOKE EXECUTE ON FUNCTION take_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_events TO ringback_app;
COMMENT ON FUNCTION take_events IS
    'Stores a batch of events with their effects; outcome: accepted, replayed, conflict or refused (with code and errors).';
