-- A follow-up comes into being: owner, policy, deadlines, the ladder of steps, the first line of its history and the notification
-- to its owner, in the transaction of what causes it. Called by whatever stores complaints: intake, calls after hours.

-- Item i of every array is one follow-up; the steps of its policy with their exact times. A step in working time is left out
-- where there is no calendar to count it by.
CREATE OR REPLACE FUNCTION ladder(p_branch integer[], p_follow_up bigint[], p_policy integer[], p_raised timestamptz[],
                                  p_calendar integer[])
RETURNS TABLE (branch integer, follow_up bigint, step text, action text, whom text, channels text[], due_at timestamptz)
LANGUAGE sql STABLE ROWS 320 AS $$
    SELECT x.branch, x.follow_up, s.step, s.action, s.whom, s.channels, t.due_at
    FROM unnest(p_branch, p_follow_up, p_policy, p_raised, p_calendar) AS x (branch, follow_up, policy, raised, calendar)
    JOIN policies p ON p.branch_id = x.branch AND p.policy_id = x.policy
    JOIN policy_steps s ON s.branch_id = x.branch AND s.policy_id = x.policy
    CROSS JOIN LATERAL (SELECT CASE WHEN s.clock = 'wall' THEN x.raised + p.deadline * s.share::double precision + s.plus
                                    WHEN x.calendar IS NOT NULL
                                    THEN working_time_add(x.branch, x.raised, p.work_deadline * s.share::double precision + s.plus,
                                                          x.calendar) END AS due_at) t
    WHERE t.due_at IS NOT NULL
$$;
COMMENT ON FUNCTION ladder(integer[], bigint[], integer[], timestamptz[], integer[]) IS 'The steps that follow-ups have by their policies, with exact times.';

-- Item i of every array is one complaint, stored already; p_manager: who should own it unless it is a report, null when nobody
-- is known. Gives for each, in order, the follow-up, who owns it really, and when it is due.
--
-- Owner: p_manager, else and when he is retired the duty supervisor, else nobody, which the metrics show. Of a report of an
-- offence: the first of report_line, and only when nobody is there the duty supervisor.
CREATE OR REPLACE FUNCTION open_follow_ups(
    p_branch integer[], p_complaint bigint[], p_retailer integer[], p_manager integer[], p_kind text[], p_category text[],
    p_severity integer[], p_raised timestamptz[],
    OUT v_follow_up bigint[], OUT v_owner integer[], OUT v_due timestamptz[])
LANGUAGE plpgsql AS $$
DECLARE
    v_policy integer[];
    v_area integer[];
    v_calendar integer[];
    v_work_due timestamptz[];
BEGIN
    -- The policy, the duty supervisor and who deals with reports are looked up once for all that share what decides them.
    WITH asked AS MATERIALIZED (
        SELECT x.*, r.class, r.area_id, m.person_id AS manager_id
        FROM unnest(p_branch, p_retailer, p_manager, p_kind, p_category, p_severity, p_raised)
            WITH ORDINALITY AS x (branch, retailer, manager, kind, category, severity, raised, n)
        LEFT JOIN retailers r ON r.branch_id = x.branch AND r.retailer_id = x.retailer
        LEFT JOIN people m ON m.branch_id = x.branch AND m.person_id = x.manager AND m.retired_at IS NULL AND x.kind <> 'report'
    ), ruled AS MATERIALIZED (
        SELECT q.items, p.policy_id, p.deadline, p.work_deadline
        FROM (SELECT a.branch, array_agg(a.n) AS items, policy_for(a.branch, a.class, a.kind, a.category, a.severity) AS policy_id
              FROM asked a GROUP BY a.branch, a.class, a.kind, a.category, a.severity) q
        JOIN policies p ON p.branch_id = q.branch AND p.policy_id = q.policy_id
    ), spared AS MATERIALIZED (
        SELECT q.items, coalesce(CASE WHEN q.report THEN (SELECT l.person_id FROM report_line(q.branch, q.area_id) l ORDER BY l.height LIMIT 1) END,
                                 duty_supervisor(q.branch)) AS person_id
        FROM (SELECT a.branch, a.kind = 'report' AS report, CASE WHEN a.kind = 'report' THEN a.area_id END AS area_id, array_agg(a.n) AS items
              FROM asked a WHERE a.manager_id IS NULL GROUP BY 1, 2, 3) q
    )
    SELECT array_agg(nextval(pg_get_serial_sequence('ringback.follow_ups', 'follow_up_id')) ORDER BY a.n),
           array_agg(coalesce(a.manager_id, s.person_id) ORDER BY a.n), array_agg(a.area_id ORDER BY a.n),
           array_agg(u.policy_id ORDER BY a.n), array_agg(a.raised + u.deadline ORDER BY a.n),
           array_agg(CASE WHEN u.work_deadline IS NOT NULL THEN calendar_in_force(a.branch) END ORDER BY a.n),
           array_agg(CASE WHEN u.work_deadline IS NOT NULL THEN working_time_add(a.branch, a.raised, u.work_deadline) END ORDER BY a.n)
        INTO v_follow_up, v_owner, v_area, v_policy, v_due, v_calendar, v_work_due
    FROM asked a
    LEFT JOIN (SELECT unnest(items) AS n, policy_id, deadline, work_deadline FROM ruled) u USING (n)
    LEFT JOIN (SELECT unnest(items) AS n, person_id FROM spared) s USING (n);

    INSERT INTO follow_ups (branch_id, follow_up_id, complaint, retailer_id, owner_id, policy_id, raised_at, due_at, kind, category,
                            severity, area_id, work_due_at, calendar_id)
        OVERRIDING SYSTEM VALUE
    SELECT * FROM unnest(p_branch, v_follow_up, p_complaint, p_retailer, v_owner, v_policy, p_raised, v_due, p_kind, p_category,
                         p_severity, v_area, v_work_due, v_calendar);

    -- Somebody who hands over and leaves holds his row meanwhile: who was the owner a moment ago may be gone.
    IF EXISTS (SELECT FROM unnest(p_branch, v_owner) AS x (branch, owner)
               JOIN people p ON p.branch_id = x.branch AND p.person_id = x.owner WHERE p.retired_at IS NOT NULL) THEN
        RAISE EXCEPTION 'an owner left meanwhile' USING ERRCODE = 'serialization_failure';
    END IF;

    -- Of the steps that are past already only the latest is left for the clock, which fires it at once.
    INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, channels, due_at, fired_at, skipped)
    SELECT branch, follow_up, step, action, whom, channels, due_at, CASE WHEN late THEN now() END, CASE WHEN late THEN 'late' END
    FROM (SELECT l.*, l.due_at <= now() AND row_number() OVER (PARTITION BY l.follow_up, l.due_at <= now()
                                                               ORDER BY l.due_at DESC, l.step DESC) > 1 AS late
          FROM ladder(p_branch, v_follow_up, v_policy, p_raised, v_calendar) l) q;

    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, details)
    SELECT x.branch, x.follow_up, 'opened', jsonb_build_object('policy', p.name, 'version', p.version)
    FROM unnest(p_branch, v_follow_up, v_policy) WITH ORDINALITY AS x (branch, follow_up, policy, n)
    JOIN policies p ON p.branch_id = x.branch AND p.policy_id = x.policy ORDER BY x.n;

    PERFORM make_notifications(p_branch, v_follow_up, array_fill('assigned'::text, ARRAY[cardinality(p_branch)]),
                               array_fill('assigned'::text, ARRAY[cardinality(p_branch)]), v_owner);

    PERFORM arm_silence(p_branch, v_follow_up, 1);
    -- The manager may have called back before the complaint itself arrived.
    PERFORM prove_from_known_calls(p_branch, v_follow_up);
END $$;
COMMENT ON FUNCTION open_follow_ups(integer[], bigint[], integer[], integer[], text[], text[], integer[], timestamptz[]) IS
    'Makes the follow-ups of complaints, with their deadlines, ladders, history and notifications.';
