-- Calls that reached nobody at work: a call outside working hours, or minutes before closing and not answered, becomes a
-- follow-up, never "tomorrow" — unless an order or a complaint came in it. Only where the branch has a calendar.
--
-- Called at the end of take_calls with inbound calls that have ended, by take_events for orders and complaints that name a
-- call, and by the clock's tidy for calls whose end was never reported. A call is noted once, in missed_calls, whatever the
-- order of its events. Calls of one caller are one follow-up as long as it is open and nobody has reached him.
--
-- A call counts from when it was answered, or, if it never was, from when it rang. Colleagues' own numbers are not callers;
-- a caller without a number cannot be called back: his call stays in the list of calls alone.
--
-- Lock order: rows of calls, callers (advisory), rows of missed_calls, then of follow_ups.

CREATE OR REPLACE FUNCTION call_is_named(p_branch integer, p_call text) RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN coalesce(
        (SELECT k.reference FROM complaints k
            WHERE k.branch_id = p_branch AND k.call = p_call AND NOT EXISTS (
                SELECT FROM missed_calls m JOIN follow_ups f USING (branch_id, follow_up_id)
                WHERE m.branch_id = p_branch AND m.call = p_call AND f.complaint = k.reference)
            ORDER BY k.reference LIMIT 1),
        (SELECT o.reference FROM orders o WHERE o.call = p_call AND o.branch_id = p_branch ORDER BY o.reference LIMIT 1));
END $$;
COMMENT ON FUNCTION call_is_named(integer, text) IS 'The order or complaint that came in a call, or null; the one that was made because nobody was there is none.';

CREATE OR REPLACE FUNCTION missed_call_text(p_branch integer, p_at timestamptz, p_answered boolean, p_retailer integer, p_several boolean)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('%s于%s来电，%s，请尽快回电。',
        CASE WHEN r.retailer_id IS NOT NULL THEN format('零售客户%s（%s）', r.name, r.code)
             WHEN p_several THEN '几家零售客户共用的号码' ELSE '未登记的号码' END,
        to_char(p_at AT TIME ZONE b.timezone, 'YYYY"年"FMMM"月"FMDD"日" HH24:MI'),
        CASE WHEN p_answered THEN '时为非工作时间，已接听但未登记事项'
             WHEN is_working_time(p_branch, p_at) THEN '时近下班，无人接听' ELSE '时为非工作时间，无人接听' END)
    FROM branches b LEFT JOIN retailers r ON r.branch_id = b.branch_id AND r.retailer_id = p_retailer
    WHERE b.branch_id = p_branch
$$;
COMMENT ON FUNCTION missed_call_text(integer, timestamptz, boolean, integer, boolean) IS 'Who rang when, for whoever calls back; the number stands beside it.';

-- Item i of both arrays is one call, whose row the caller has locked; gives how many of them were noted.
CREATE OR REPLACE FUNCTION note_missed_calls(p_branch integer[], p_call text[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_branch integer[];
    v_call text[];
    v_retailer integer[];
    v_phone text[];
    v_at timestamptz[];
    v_caller bigint[];
    v_follow_up bigint[];
    v_new integer[];
    v_reference bigint[];
    v_made record;
BEGIN
    IF NOT EXISTS (SELECT FROM branches b WHERE b.branch_id = ANY (p_branch) AND b.calendar_id IS NOT NULL) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(q.branch_id), array_agg(q.call), array_agg(q.retailer_id), array_agg(q.from_phone), array_agg(q.at),
           array_agg(hashint8extended(q.branch_id, hashtextextended(coalesce(q.retailer_id::text, q.from_phone), 3)))
        INTO v_branch, v_call, v_retailer, v_phone, v_at, v_caller
    FROM (SELECT DISTINCT c.branch_id, c.call, c.retailer_id, c.from_phone, t.at
          FROM unnest(p_branch, p_call) AS x (branch, call)
          JOIN branches b ON b.branch_id = x.branch AND b.calendar_id IS NOT NULL
          JOIN calls c ON c.branch_id = x.branch AND c.call = x.call
          CROSS JOIN LATERAL (SELECT c.answered_at IS NOT NULL OR c.seconds > 0 AS answered) a
          CROSS JOIN LATERAL (SELECT CASE WHEN a.answered THEN coalesce(c.answered_at, c.ended_at - interval '1 second' * c.seconds)
                                          ELSE coalesce(c.ringing_at, c.ended_at) END AS at) t
          WHERE c.direction = 'inbound' AND c.from_phone IS NOT NULL
            AND CASE WHEN is_working_time(c.branch_id, t.at) IS NULL THEN false
                     WHEN NOT is_working_time(c.branch_id, t.at) THEN true
                     ELSE NOT a.answered AND closing_time(c.branch_id, t.at) <= t.at + interval '1 minute' * b.closing_minutes END
            AND NOT EXISTS (SELECT FROM missed_calls m WHERE m.branch_id = c.branch_id AND m.call = c.call)
            AND NOT EXISTS (SELECT FROM person_phones h JOIN people p USING (branch_id, person_id)
                            WHERE h.branch_id = c.branch_id AND h.phone = c.from_phone AND p.retired_at IS NULL)
            AND call_is_named(c.branch_id, c.call) IS NULL
          ORDER BY t.at, c.branch_id, c.call) q;
    IF v_call IS NULL THEN
        RETURN 0;
    END IF;

    -- From here on one transaction at a time for each caller: the next statement sees what the one before made for him.
    PERFORM pg_advisory_xact_lock(k.caller) FROM (SELECT DISTINCT unnest(v_caller) AS caller ORDER BY 1) k;
    SELECT array_agg(q.follow_up_id ORDER BY q.n), array_agg(q.n::integer ORDER BY q.n) FILTER (WHERE q.follow_up_id IS NULL AND q.first)
        INTO v_follow_up, v_new
    FROM (SELECT x.n, f.follow_up_id, row_number() OVER (PARTITION BY x.branch, x.caller ORDER BY x.n) = 1 AS first
          FROM unnest(v_branch, v_retailer, v_phone, v_caller) WITH ORDINALITY AS x (branch, retailer, phone, caller, n)
          LEFT JOIN LATERAL (
              SELECT f.follow_up_id FROM follow_ups f
              WHERE f.branch_id = x.branch AND f.retailer_id = x.retailer AND f.state IN ('open', 'acknowledged')
                AND EXISTS (SELECT FROM missed_calls m WHERE m.branch_id = f.branch_id AND m.follow_up_id = f.follow_up_id)
              UNION ALL
              SELECT f.follow_up_id FROM complaints k JOIN follow_ups f ON f.branch_id = k.branch_id AND f.complaint = k.reference
              WHERE x.retailer IS NULL AND k.branch_id = x.branch AND k.retailer_id IS NULL AND k.caller_phone = x.phone
                AND f.state IN ('open', 'acknowledged')
                AND EXISTS (SELECT FROM missed_calls m WHERE m.branch_id = f.branch_id AND m.follow_up_id = f.follow_up_id)
              ORDER BY 1 LIMIT 1) f ON true) q;

    IF v_new IS NOT NULL THEN
        WITH stored AS (
            INSERT INTO complaints (branch_id, reference, kind, retailer_id, caller, caller_phone, text, category, call, gateway_id, raised_at)
            SELECT c.branch_id, reference_of(nextval(b.reference_sequence)), 'request', c.retailer_id, c.from_number, c.from_phone,
                   missed_call_text(c.branch_id, v_at[x.i], c.answered_at IS NOT NULL OR c.seconds > 0, c.retailer_id, s.several),
                   'missed-call', c.call, c.gateway_id, v_at[x.i]
            FROM unnest(v_new) AS x (i)
            JOIN branches b ON b.branch_id = v_branch[x.i]
            JOIN calls c ON c.branch_id = v_branch[x.i] AND c.call = v_call[x.i]
            CROSS JOIN LATERAL (SELECT count(*) > 1 AS several FROM retailer_phones h JOIN retailers r USING (branch_id, retailer_id)
                                WHERE h.branch_id = c.branch_id AND h.phone = c.from_phone AND r.retired_at IS NULL) s
            RETURNING *)
        SELECT array_agg(k.reference ORDER BY x.n) INTO v_reference
        FROM unnest(v_new) WITH ORDINALITY AS x (i, n) JOIN stored k ON k.branch_id = v_branch[x.i] AND k.call = v_call[x.i];
        SELECT o.* INTO v_made
        FROM (SELECT array_agg(k.branch_id ORDER BY x.n) AS branch, array_agg(k.retailer_id ORDER BY x.n) AS retailer,
                     array_agg(m.manager_id ORDER BY x.n) AS manager, array_agg(k.kind ORDER BY x.n) AS kind,
                     array_agg(k.category ORDER BY x.n) AS category, array_agg(k.raised_at ORDER BY x.n) AS raised
              FROM unnest(v_new, v_reference) WITH ORDINALITY AS x (i, reference, n)
              JOIN complaints k ON k.branch_id = v_branch[x.i] AND k.reference = x.reference
              CROSS JOIN LATERAL (
                  SELECT CASE WHEN count(DISTINCT r.manager_id) = 1 THEN min(r.manager_id) END AS manager_id FROM retailers r
                  WHERE r.branch_id = k.branch_id AND (r.retailer_id = k.retailer_id OR (k.retailer_id IS NULL AND r.retired_at IS NULL
                      AND r.retailer_id IN (SELECT h.retailer_id FROM retailer_phones h
                                            WHERE h.branch_id = k.branch_id AND h.phone = k.caller_phone)))) m) a
        CROSS JOIN LATERAL open_follow_ups(a.branch, v_reference, a.retailer, a.manager, a.kind, a.category,
            array_fill(NULL::integer, ARRAY[cardinality(v_reference)]), a.raised) o;
        SELECT array_agg(coalesce(x.follow_up, f.follow_up) ORDER BY x.n) INTO v_follow_up
        FROM unnest(v_follow_up, v_branch, v_caller) WITH ORDINALITY AS x (follow_up, branch, caller, n)
        LEFT JOIN unnest(v_new, v_made.v_follow_up) AS f (i, follow_up) ON v_branch[f.i] = x.branch AND v_caller[f.i] = x.caller;
    END IF;

    INSERT INTO missed_calls (branch_id, call, follow_up_id, retailer_id, phone)
        SELECT * FROM unnest(v_branch, v_call, v_follow_up, v_retailer, v_phone);
    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, details)
        SELECT x.branch, x.follow_up, 'called-again', jsonb_build_object('call', x.call, 'at', x.at)
        FROM unnest(v_branch, v_follow_up, v_call, v_at) WITH ORDINALITY AS x (branch, follow_up, call, at, n)
        WHERE v_new IS NULL OR x.n <> ALL (v_new) ORDER BY x.n;
    RETURN cardinality(v_call);
END $$;
COMMENT ON FUNCTION note_missed_calls(integer[], text[]) IS
    'Makes follow-ups of those calls that reached nobody at work, or adds them to the open one of the same caller; each call once.';

-- Item i of both arrays: an order or complaint came in this call (null: in none). A follow-up all of whose calls are accounted for
-- ends, unless somebody has begun to work on it: then its history says so and he decides.
CREATE OR REPLACE FUNCTION settle_missed_calls(p_branch integer[], p_call text[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_branch integer[];
    v_follow_up bigint[];
    v_by bigint[];
BEGIN
    WITH named AS (
        UPDATE missed_calls m SET named_by = q.reference
            FROM (SELECT m.branch_id, m.call, call_is_named(m.branch_id, m.call) AS reference
                  FROM (SELECT DISTINCT * FROM unnest(p_branch, p_call) AS x (branch, call) WHERE call IS NOT NULL) x
                  CROSS JOIN LATERAL (SELECT m.branch_id, m.call FROM missed_calls m
                      WHERE m.branch_id = x.branch AND m.call = x.call AND m.named_by IS NULL) m
                  ORDER BY 1, 2) q
            WHERE m.branch_id = q.branch_id AND m.call = q.call AND m.named_by IS NULL AND q.reference IS NOT NULL
            RETURNING m.branch_id, m.follow_up_id, m.named_by)
    SELECT array_agg(q.branch_id), array_agg(q.follow_up_id), array_agg(q.named_by) INTO v_branch, v_follow_up, v_by
    FROM (SELECT n.branch_id, n.follow_up_id, max(n.named_by) AS named_by FROM named n GROUP BY 1, 2 ORDER BY 1, 2) q;
    IF v_follow_up IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM FROM follow_ups f WHERE (f.branch_id, f.follow_up_id) IN (SELECT * FROM unnest(v_branch, v_follow_up))
        ORDER BY f.branch_id, f.follow_up_id FOR NO KEY UPDATE;
    WITH ended AS (
        UPDATE follow_ups f SET state = 'closed', closed_at = now()
            FROM unnest(v_branch, v_follow_up, v_by) AS x (branch, follow_up, by)
            WHERE f.branch_id = x.branch AND f.follow_up_id = x.follow_up AND f.state = 'open'
              AND NOT EXISTS (SELECT FROM missed_calls m WHERE m.branch_id = f.branch_id AND m.follow_up_id = f.follow_up_id AND m.named_by IS NULL)
              AND NOT EXISTS (SELECT FROM follow_up_history h WHERE h.branch_id = f.branch_id AND h.follow_up_id = f.follow_up_id
                                AND h.by_person_id IS NOT NULL)
            RETURNING f.branch_id, f.follow_up_id)
    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, details)
    SELECT x.branch, x.follow_up, CASE WHEN e.follow_up_id IS NULL THEN 'call-settled' ELSE 'closed' END,
           CASE WHEN e.follow_up_id IS NULL THEN '{}'::jsonb ELSE '{"reason": "superseded"}' END || jsonb_build_object('by', x.by::text)
    FROM unnest(v_branch, v_follow_up, v_by) AS x (branch, follow_up, by)
    LEFT JOIN ended e ON e.branch_id = x.branch AND e.follow_up_id = x.follow_up;
    PERFORM make_notifications(array_agg(f.branch_id), array_agg(f.follow_up_id), array_agg('closed'::text), array_agg('closed'::text),
                               array_agg(f.owner_id))
    FROM unnest(v_branch, v_follow_up) AS x (branch, follow_up)
    JOIN follow_ups f ON f.branch_id = x.branch AND f.follow_up_id = x.follow_up AND f.state = 'closed' HAVING count(*) > 0;
    RETURN cardinality(v_follow_up);
END $$;
COMMENT ON FUNCTION settle_missed_calls(integer[], text[]) IS
    'Ends follow-ups of missed calls that an order or complaint came in after all; says how many were touched.';

-- Calls whose end was never reported count as ended after ten minutes without it. What two transactions could not see of each other
-- (a call that ends, an order that names it) is looked at again.
CREATE OR REPLACE FUNCTION watch_calls() RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_branch integer[];
    v_call text[];
    v_noted integer := 0;
BEGIN
    SELECT array_agg(q.branch_id), array_agg(q.call) INTO v_branch, v_call
    FROM (SELECT c.branch_id, c.call FROM branches b JOIN calls c USING (branch_id)
          WHERE b.calendar_id IS NOT NULL AND c.direction = 'inbound' AND c.state < 3
            AND c.first_seen_at BETWEEN now() - interval '12 hours' AND now() - interval '10 minutes'
            AND coalesce(c.answered_at, c.ringing_at) < now() - CASE WHEN c.answered_at IS NULL THEN interval '10 minutes' ELSE interval '2 hours' END
            AND NOT EXISTS (SELECT FROM missed_calls m WHERE m.branch_id = c.branch_id AND m.call = c.call)
          ORDER BY 1, 2 LIMIT 1000 FOR NO KEY UPDATE OF c SKIP LOCKED) q;
    IF v_call IS NOT NULL THEN
        v_noted := note_missed_calls(v_branch, v_call);
    END IF;
    SELECT array_agg(m.branch_id), array_agg(m.call) INTO v_branch, v_call FROM branches b JOIN missed_calls m USING (branch_id)
        WHERE m.noted_at > now() - interval '10 minutes' AND m.named_by IS NULL AND call_is_named(m.branch_id, m.call) IS NOT NULL;
    IF v_call IS NOT NULL THEN
        PERFORM settle_missed_calls(v_branch, v_call);
    END IF;
    RETURN v_noted;
END $$;
COMMENT ON FUNCTION watch_calls() IS 'Notes calls that reached nobody and whose end was never reported; the clock''s tidy calls it every minute.';
