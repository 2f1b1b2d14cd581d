-- Proof: what the telephone itself reports decides whether a retailer was called back. Called at the end of take_calls and of
-- take_complaints, whichever comes last, and again before a step of the ladder is fired, so that what two transactions could
-- not see of each other is found before anybody is blamed. docs/promise.md gives the reason of each rule.
--
-- A call proves a follow-up when it was outbound, has ended, was answered for at least the policy's seconds, began after the
-- complaint was raised, came from a number of somebody who answers for the follow-up, and went to a number of its retailer.
-- Nothing here is ever taken back, and each condition only becomes true: the order of events makes no difference.
--
-- Locks: rows of follow_ups by (branch, follow-up), after rows of calls.

CREATE OR REPLACE FUNCTION try_outcome(p_cause text, p_answered boolean, p_enough boolean) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    -- SIP's status (486 Busy Here), Q.850's number (17), or the gateway's own words.
    SELECT CASE
        WHEN p_answered THEN CASE WHEN p_enough THEN 'answered' ELSE 'short' END
        WHEN q.number IN (486, 600, 603, 17, 21) OR p_cause ~* 'busy|reject|declin' THEN 'busy'
        WHEN p_cause IS NULL OR q.number IN (408, 480, 487, 16, 18, 19, 102)
            OR (q.number IS NULL AND p_cause ~* 'no.?answer|no.?user|timeout|cancel|normal|unanswered|not.?answered') THEN 'no-answer'
        ELSE 'failed' END
    FROM (SELECT substring(p_cause FROM '^[^0-9]*([0-9]{1,3})(?![0-9])')::integer AS number) q
$$;
COMMENT ON FUNCTION try_outcome(text, boolean, boolean) IS 'What became of a call that proved nothing, by its cause of ending.';

CREATE OR REPLACE FUNCTION answers_for(p_branch integer, p_person integer, p_owner integer, p_retailer integer,
                                       p_at timestamptz DEFAULT now()) RETURNS integer
LANGUAGE sql STABLE AS $$
    -- 0 the owner, 1 his deputy or who stood in for him then, 2 and up his line of command, 1000 and up a supervisor.
    SELECT CASE
        WHEN p_person = p_owner THEN 0
        WHEN p_person = (SELECT deputy_id FROM people WHERE branch_id = p_branch AND person_id = p_owner)
          OR p_person = stand_in(p_branch, p_owner, p_at) THEN 1
        ELSE (SELECT min(h) FROM (
            SELECT 1 + l.height AS h FROM line_of(p_branch, p_owner) l WHERE l.person_id = p_person
            UNION ALL
            SELECT 900 FROM people m JOIN retailers r ON r.branch_id = m.branch_id AND r.area_id = m.area_id
                WHERE m.branch_id = p_branch AND m.person_id = p_person AND m.role = 'market_manager' AND r.retailer_id = p_retailer
            UNION ALL
            SELECT 1000 FROM people s WHERE s.branch_id = p_branch AND s.person_id = p_person AND s.role = 'supervisor') q) END
$$;
COMMENT ON FUNCTION answers_for(integer, integer, integer, integer, timestamptz) IS
    'How near somebody is to a follow-up of this owner and retailer: owner, deputy, up the line, the area''s market manager, a supervisor; null: he is not.';

DROP FUNCTION IF EXISTS settle_calls(integer[], bigint[], text[]);
DROP FUNCTION IF EXISTS prove_from_known_calls(integer[], bigint[]);

-- Item i of the arrays: this call might prove this follow-up. p_wait: false leaves out follow-ups that somebody is changing, for
-- the clock, which holds steps already. Gives how many were proved.
CREATE OR REPLACE FUNCTION settle_calls(p_branch integer[], p_follow_up bigint[], p_call text[], p_wait boolean DEFAULT true) RETURNS integer
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_proved integer;
BEGIN
    IF p_wait THEN
        PERFORM FROM follow_ups f
            WHERE (f.branch_id, f.follow_up_id) IN (SELECT * FROM unnest(p_branch, p_follow_up))
            ORDER BY f.branch_id, f.follow_up_id FOR NO KEY UPDATE;
    ELSE
        SELECT array_agg(x.branch), array_agg(x.follow_up), array_agg(x.call) INTO p_branch, p_follow_up, p_call
        FROM unnest(p_branch, p_follow_up, p_call) AS x (branch, follow_up, call)
        WHERE (x.branch, x.follow_up) IN (
            SELECT f.branch_id, f.follow_up_id FROM follow_ups f
            WHERE (f.branch_id, f.follow_up_id) IN (SELECT * FROM unnest(p_branch, p_follow_up))
            ORDER BY f.branch_id, f.follow_up_id FOR NO KEY UPDATE SKIP LOCKED);
    END IF;

    WITH pair AS MATERIALIZED (
        SELECT f.branch_id, f.follow_up_id, f.retailer_id, c.call, c.to_phone, c.cause, coalesce(c.seconds, 0) AS seconds,
               c.answered_at IS NOT NULL OR c.seconds > 0 AS answered, coalesce(c.seconds, 0) >= p.proof_seconds AS enough,
               c.ended_at, s.begun_at, b.person_id, r.legal_person
        FROM (SELECT DISTINCT * FROM unnest(p_branch, p_follow_up, p_call) AS x (branch, follow_up, call)) x
        JOIN follow_ups f ON f.branch_id = x.branch AND f.follow_up_id = x.follow_up
        JOIN policies p ON p.branch_id = f.branch_id AND p.policy_id = f.policy_id
        JOIN calls c ON c.branch_id = x.branch AND c.call = x.call
        LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id
        -- When the conversation began: as reported, or counted back from its end, whichever is later. An end without a time of
        -- its own cannot be counted back from: then it began when the call was first heard of. A call that nobody answered
        -- has its end alone.
        CROSS JOIN LATERAL (SELECT CASE
            WHEN c.answered_at IS NULL AND coalesce(c.seconds, 0) = 0 THEN c.ended_at
            WHEN c.answered_at IS NULL AND NOT c.end_timed THEN least(c.ringing_at, c.ended_at)
            ELSE greatest(c.answered_at, c.ended_at - interval '1 second' * coalesce(c.seconds, 0)) END AS begun_at) s
        CROSS JOIN LATERAL (
            SELECT q.person_id FROM (
                SELECT n.person_id, answers_for(n.branch_id, n.person_id, f.owner_id, f.retailer_id, s.begun_at) AS rank
                FROM person_phones n JOIN people o USING (branch_id, person_id)
                WHERE n.branch_id = c.branch_id AND n.phone = c.from_phone
                  AND (o.retired_at IS NULL OR o.retired_at > s.begun_at) OFFSET 0) q
            WHERE q.rank IS NOT NULL ORDER BY q.rank, q.person_id LIMIT 1) b
        WHERE f.state <> 'closed' AND c.direction = 'outbound' AND c.state = 3
          AND s.begun_at >= greatest(f.raised_at, CASE WHEN f.reopened > 0 THEN (
              SELECT max(h.at) FROM follow_up_history h
              WHERE h.branch_id = f.branch_id AND h.follow_up_id = f.follow_up_id AND h.kind = 'reopened') END)
    ), judged AS MATERIALIZED (
        -- A number that shops of different people share does not tell which of them was called, if more than one waits; what
        -- was found so once stays so.
        SELECT a.*, a.answered AND a.enough AND NOT EXISTS (
            SELECT FROM follow_up_tries t WHERE t.branch_id = a.branch_id AND t.follow_up_id = a.follow_up_id AND t.call = a.call
              AND t.outcome = 'answered')
            AND NOT EXISTS (
            SELECT FROM retailer_phones h
            JOIN retailers r ON r.branch_id = h.branch_id AND r.retailer_id = h.retailer_id
            JOIN follow_ups g ON g.branch_id = h.branch_id AND g.retailer_id = h.retailer_id AND g.state <> 'closed'
            WHERE a.retailer_id IS NOT NULL AND h.branch_id = a.branch_id AND h.phone = a.to_phone
              AND h.retailer_id <> a.retailer_id AND (r.legal_person = a.legal_person) IS NOT TRUE
              AND ((g.state IN ('open', 'acknowledged') AND g.raised_at <= a.begun_at) OR g.proof_call = a.call)) AS proves
        FROM pair a
    ), tried AS (
        INSERT INTO follow_up_tries (branch_id, follow_up_id, at, call, outcome, seconds, by_person_id)
        SELECT j.branch_id, j.follow_up_id, j.ended_at, j.call, try_outcome(j.cause, j.answered, j.enough), j.seconds, j.person_id
        FROM judged j JOIN follow_ups f ON f.branch_id = j.branch_id AND f.follow_up_id = j.follow_up_id
        WHERE NOT j.proves AND f.proof_call IS DISTINCT FROM j.call
        ON CONFLICT DO NOTHING
        RETURNING *
    ), first_proof AS (
        SELECT DISTINCT ON (j.branch_id, j.follow_up_id) j.* FROM judged j WHERE j.proves
        ORDER BY j.branch_id, j.follow_up_id, j.begun_at, j.call
    ), changed AS (
        -- What was said to be in time is not proved by a call after the deadline: it stays said.
        UPDATE follow_ups f SET
            state = CASE WHEN k.at IS NOT NULL AND f.state IN ('open', 'acknowledged') THEN 'contacted' ELSE f.state END,
            proof = CASE WHEN k.at IS NOT NULL THEN 'proved' ELSE f.proof END,
            contacted_at = coalesce(k.at, f.contacted_at),
            contacted_by_id = CASE WHEN k.at IS NOT NULL THEN k.person_id ELSE f.contacted_by_id END,
            proof_call = CASE WHEN k.at IS NOT NULL THEN k.call ELSE f.proof_call END,
            first_try_at = least(f.first_try_at, k.tried_at, k.at)
        FROM (SELECT g.branch_id, g.follow_up_id, t.tried_at, q.call, q.person_id, q.seconds, g.proof AS was,
                     CASE WHEN q.call IS NOT NULL AND (g.proof IS NULL
                              OR (g.proof = 'recorded' AND (q.begun_at <= g.due_at OR g.contacted_at > g.due_at))
                              OR (g.proof = 'proved' AND q.begun_at < g.contacted_at AND q.call <> g.proof_call))
                          THEN q.begun_at END AS at
              FROM (SELECT branch_id, follow_up_id FROM tried UNION SELECT branch_id, follow_up_id FROM first_proof) w
              JOIN follow_ups g ON g.branch_id = w.branch_id AND g.follow_up_id = w.follow_up_id
              LEFT JOIN first_proof q ON q.branch_id = w.branch_id AND q.follow_up_id = w.follow_up_id
              LEFT JOIN LATERAL (SELECT min(y.at) AS tried_at FROM tried y
                  WHERE y.branch_id = w.branch_id AND y.follow_up_id = w.follow_up_id) t ON true) k
        WHERE f.branch_id = k.branch_id AND f.follow_up_id = k.follow_up_id
          AND (k.at IS NOT NULL OR f.first_try_at IS NULL OR k.tried_at < f.first_try_at)
        RETURNING f.branch_id, f.follow_up_id, k.at, k.call, k.person_id, k.seconds, k.was
    ), noted AS (
        INSERT INTO follow_up_history (branch_id, follow_up_id, kind, by_person_id, details)
        SELECT t.branch_id, t.follow_up_id, 'tried', t.by_person_id,
               jsonb_build_object('outcome', t.outcome, 'call', t.call, 'at', t.at, 'seconds', t.seconds)
        FROM tried t
        UNION ALL
        SELECT c.branch_id, c.follow_up_id, 'contacted', c.person_id, jsonb_strip_nulls(jsonb_build_object(
               'proof', 'proved', 'call', c.call, 'at', c.at, 'seconds', c.seconds, 'before', c.was))
        FROM changed c WHERE c.at IS NOT NULL
    )
    SELECT count(*) INTO v_proved FROM changed c WHERE c.at IS NOT NULL;
    RETURN v_proved;
END $$;
COMMENT ON FUNCTION settle_calls(integer[], bigint[], text[], boolean) IS
    'Judges which of these calls prove which of these follow-ups, and keeps the others that were meant for them as tries.';

-- Most calls are of operators or come in: they end at the first look, which finds nobody who answers for anything.
CREATE OR REPLACE FUNCTION prove_by_calls(p_branch integer[], p_call text[]) RETURNS integer
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_branch integer[];
    v_follow_up bigint[];
    v_call text[];
BEGIN
    SELECT array_agg(q.branch_id), array_agg(q.follow_up_id), array_agg(q.call) INTO v_branch, v_follow_up, v_call
    FROM unnest(p_branch, p_call) AS x (branch, call)
    CROSS JOIN LATERAL (
        SELECT c.* FROM calls c WHERE c.branch_id = x.branch AND c.call = x.call AND c.state = 3 AND c.direction = 'outbound'
          AND EXISTS (SELECT FROM person_phones n WHERE n.branch_id = c.branch_id AND n.phone = c.from_phone)) c
    CROSS JOIN LATERAL (
        SELECT f.branch_id, f.follow_up_id, c.call FROM retailer_phones h
            JOIN follow_ups f ON f.branch_id = h.branch_id AND f.retailer_id = h.retailer_id AND f.state <> 'closed'
            WHERE h.branch_id = c.branch_id AND h.phone = c.to_phone
        UNION
        SELECT f.branch_id, f.follow_up_id, c.call FROM complaints k
            JOIN follow_ups f ON f.branch_id = k.branch_id AND f.complaint = k.reference AND f.state <> 'closed'
                AND f.retailer_id IS NULL
            WHERE k.branch_id = c.branch_id AND k.caller_phone = c.to_phone AND k.retailer_id IS NULL) q;
    RETURN CASE WHEN v_call IS NULL THEN 0 ELSE settle_calls(v_branch, v_follow_up, v_call) END;
END $$;
COMMENT ON FUNCTION prove_by_calls(integer[], text[]) IS 'Settles the open follow-ups of whoever these calls reached; says how many were proved.';

CREATE OR REPLACE FUNCTION prove_from_known_calls(p_branch integer[], p_follow_up bigint[], p_wait boolean DEFAULT true) RETURNS integer
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    v_branch integer[];
    v_follow_up bigint[];
    v_call text[];
BEGIN
    SELECT array_agg(f.branch_id), array_agg(f.follow_up_id), array_agg(c.call) INTO v_branch, v_follow_up, v_call
    FROM unnest(p_branch, p_follow_up) AS x (branch, follow_up)
    CROSS JOIN LATERAL (
        SELECT f.* FROM follow_ups f WHERE f.branch_id = x.branch AND f.follow_up_id = x.follow_up AND f.state <> 'closed') f
    CROSS JOIN LATERAL (
        SELECT h.phone FROM retailer_phones h WHERE h.branch_id = f.branch_id AND h.retailer_id = f.retailer_id
        UNION ALL
        SELECT k.caller_phone FROM complaints k
            WHERE f.retailer_id IS NULL AND k.branch_id = f.branch_id AND k.reference = f.complaint) h
    CROSS JOIN LATERAL (
        SELECT c.call FROM calls c
        WHERE c.branch_id = f.branch_id AND c.to_phone = h.phone AND c.direction = 'outbound' AND c.state = 3
          AND c.ended_at >= f.raised_at AND c.call IS DISTINCT FROM f.proof_call
          AND EXISTS (SELECT FROM person_phones n WHERE n.branch_id = c.branch_id AND n.phone = c.from_phone)
          AND NOT EXISTS (SELECT FROM follow_up_tries t
              WHERE t.branch_id = f.branch_id AND t.follow_up_id = f.follow_up_id AND t.call = c.call)) c;
    RETURN CASE WHEN v_call IS NULL THEN 0 ELSE settle_calls(v_branch, v_follow_up, v_call, p_wait) END;
END $$;
COMMENT ON FUNCTION prove_from_known_calls(integer[], bigint[], boolean) IS
    'Settles these follow-ups by the calls that are known already; says how many were proved.';
