-- Call events of one batch: one row a call, whatever the order and number of its events. Merging only ever adds: the state is
-- the furthest seen, a value once known stays. Outbound calls that have ended may prove
-- a follow-up (43-proof.sql). Called by take_events only. Locks: rows of calls by (branch, call), then of follow_ups.

CREATE OR REPLACE FUNCTION take_calls(
    p_skip integer[], p_branch integer[], p_gateway integer[], p_time timestamptz[], p_head text[],
    p_event integer[], p_call text[], p_state integer[], p_direction text[], p_from text[], p_to text[],
    p_from_phone text[], p_to_phone text[], p_seconds integer[], p_cause text[], p_recording text[])
RETURNS TABLE (event integer, outcome text, answer text, code text, errors text)
LANGUAGE plpgsql ROWS 64 AS $$
#variable_conflict use_column
DECLARE
    k record;
    v_call calls;
    v_at timestamptz;
    v_retailer text;
    v_ended_branch integer[];
    v_ended text[];
    v_inbound_branch integer[];
    v_inbound text[];
BEGIN
    -- A handful of events a call and few calls a batch: an ordered loop, since each answer is the record after its event.
    FOR k IN
        SELECT x.*, p_branch[x.event] AS branch
        FROM unnest(p_event, p_call, p_state, p_direction, p_from, p_to, p_from_phone, p_to_phone, p_seconds, p_cause, p_recording)
            AS x (event, call, state, direction, from_number, to_number, from_phone, to_phone, seconds, cause, recording)
        WHERE x.event <> ALL (p_skip)
        ORDER BY branch, x.call, x.event
    LOOP
        v_at := plausible_time(p_time[k.event]);
        INSERT INTO calls AS c (branch_id, call, gateway_id, state, direction, from_number, to_number, from_phone, to_phone,
                                retailer_id, ringing_at, answered_at, ended_at, end_timed, seconds, cause, recording)
        VALUES (k.branch, k.call, p_gateway[k.event], k.state, k.direction, k.from_number, k.to_number, k.from_phone, k.to_phone,
                nullif(retailer_by_phone(k.branch, CASE k.direction WHEN 'inbound' THEN k.from_phone ELSE k.to_phone END), -1),
                CASE WHEN k.state = 1 THEN v_at END, CASE WHEN k.state = 2 THEN v_at END, CASE WHEN k.state = 3 THEN v_at END,
                k.state <> 3 OR coalesce(v_at = p_time[k.event], false), k.seconds, k.cause, k.recording)
        ON CONFLICT (branch_id, call) DO UPDATE SET
            state = greatest(c.state, excluded.state),
            retailer_id = coalesce(c.retailer_id, excluded.retailer_id),
            ringing_at = coalesce(c.ringing_at, excluded.ringing_at),
            answered_at = coalesce(c.answered_at, excluded.answered_at),
            ended_at = coalesce(c.ended_at, excluded.ended_at),
            end_timed = CASE WHEN c.ended_at IS NULL THEN excluded.end_timed ELSE c.end_timed END,
            seconds = coalesce(c.seconds, excluded.seconds),
            cause = coalesce(c.cause, excluded.cause),
            recording = coalesce(c.recording, excluded.recording)
        RETURNING * INTO v_call;
        SELECT r.code INTO v_retailer FROM retailers r
            WHERE r.branch_id = v_call.branch_id AND r.retailer_id = v_call.retailer_id;
        event := k.event;
        outcome := 'accepted';
        answer := p_head[k.event] || ',"call":{"id":' || to_json(v_call.call) || ',"state":"'
            || (ARRAY['ringing', 'answered', 'ended'])[v_call.state] || '","seconds":' || coalesce(v_call.seconds::text, 'null')
            || ',"retailer":' || coalesce(to_json(v_retailer)::text, 'null') || '}}';
        RETURN NEXT;
        IF v_call.state = 3 AND v_call.direction = 'outbound' THEN
            v_ended_branch := v_ended_branch || v_call.branch_id;
            v_ended := v_ended || v_call.call;
        ELSIF v_call.state = 3 THEN
            v_inbound_branch := v_inbound_branch || v_call.branch_id;
            v_inbound := v_inbound || v_call.call;
        END IF;
    END LOOP;
    IF v_inbound IS NOT NULL THEN
        PERFORM note_missed_calls(v_inbound_branch, v_inbound);
    END IF;
    IF v_ended IS NOT NULL THEN
        PERFORM prove_by_calls(v_ended_branch, v_ended);
    END IF;
    PERFORM feed_calls(p_skip, p_branch, p_event, p_call);
END $$;
COMMENT ON FUNCTION take_calls(integer[], integer[], integer[], timestamptz[], text[], integer[], text[], integer[], text[], text[],
                               text[], text[], text[], integer[], text[], text[]) IS
    'Merges the call events of a batch into their calls; called by take_events.';
