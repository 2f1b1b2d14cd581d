-- The promise clock in the database: firing the steps whose time has come, and the housekeeping of every minute.

DROP FUNCTION IF EXISTS step_type(text);
CREATE OR REPLACE FUNCTION step_type(p_action text, p_whom text DEFAULT NULL) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_action IN ('promised', 'request') THEN 'reminded'
                WHEN p_action <> 'unacknowledged' OR p_whom IS NULL THEN p_action
                WHEN p_whom IN ('market_manager', 'duty_supervisor') THEN 'escalated' ELSE 'assigned' END
$$;
COMMENT ON FUNCTION step_type(text, text) IS 'What a step is told as: the time promised to a retailer and the time for a request are reminders; '
    'what nobody acknowledged is assigned once more to somebody of the same rank, and escalated up the line. In history the action alone counts.';

DROP FUNCTION IF EXISTS fire_steps(integer[], bigint[], text[], text[], text[]);

-- Notifies whom these steps are meant for, or skips those no longer needed, and marks them. Item i of every array is one
-- step (p_channels: array literals, null for any channel); gives for each, in order, why it was skipped (null: it was not) and
-- when its follow-up was made. Nobody is blamed before the calls that are known were looked at once more.
CREATE OR REPLACE FUNCTION fire_steps(p_branch integer[], p_follow_up bigint[], p_step text[], p_action text[], p_whom text[],
                                      p_channels text[] DEFAULT NULL, OUT v_skipped text[], OUT v_made_at timestamptz[])
LANGUAGE plpgsql AS $$
DECLARE
    v_addressee integer[];
    v_whom text[];
    v_target integer[];
    v_tries bigint[];
BEGIN
    PERFORM prove_from_known_calls(p_branch, p_follow_up, false);

    -- Whom to tell is looked up once for all that share an owner and an area: there are few of those.
    WITH one AS MATERIALIZED (
        SELECT x.n, x.branch, x.follow_up, x.action, x.whom, f.owner_id, f.retailer_id, r.area_id, f.kind = 'report' AS report, f.created_at,
               s.person_id,
               CASE WHEN f.first_try_at IS NOT NULL THEN (SELECT count(*) FROM follow_up_tries t
                   WHERE t.branch_id = f.branch_id AND t.follow_up_id = f.follow_up_id AND t.outcome <> 'recorded') ELSE 0 END AS tries,
               CASE WHEN f.state = 'closed' THEN 'closed'
                    WHEN f.state NOT IN ('open', 'acknowledged') AND x.action NOT IN ('promised', 'request') THEN 'contacted'
                    WHEN x.action = 'unacknowledged' AND f.state = 'acknowledged' THEN 'acknowledged'
                    WHEN x.action = 'unacknowledged' AND f.first_try_at IS NOT NULL AND EXISTS (
                        SELECT FROM follow_up_tries t
                        WHERE t.branch_id = f.branch_id AND t.follow_up_id = f.follow_up_id
                          AND t.noted_at >= coalesce((SELECT max(h.at) FROM follow_up_history h
                              WHERE f.reopened > 0 AND h.branch_id = f.branch_id AND h.follow_up_id = f.follow_up_id
                                AND h.kind = 'reopened'), '-infinity')) THEN 'tried' END AS skipped
        FROM unnest(p_branch, p_follow_up, p_step, p_action, p_whom) WITH ORDINALITY AS x (branch, follow_up, step, action, whom, n)
        JOIN follow_ups f ON f.branch_id = x.branch AND f.follow_up_id = x.follow_up
        LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id
        LEFT JOIN follow_up_steps s ON s.branch_id = f.branch_id AND s.follow_up_id = f.follow_up_id
            AND s.step = CASE x.whom WHEN 'requested' THEN x.step END
    ), told AS MATERIALIZED (
        SELECT o.branch, o.whom, o.owner_id, o.area_id, o.person_id, o.report, min(o.retailer_id) AS retailer_id, array_agg(o.n) AS items
        FROM one o WHERE o.action <> 'unacknowledged' GROUP BY 1, 2, 3, 4, 5, 6
    ), known AS MATERIALIZED (
        SELECT t.items,
               CASE WHEN t.whom = 'requested' THEN t.person_id
                    WHEN t.whom IN ('owner', 'next_channel') THEN coalesce(t.owner_id, duty_supervisor(t.branch))
                    WHEN t.report AND EXISTS (SELECT FROM report_line(t.branch)) THEN coalesce(
                        (SELECT l.person_id FROM report_line(t.branch, t.area_id) l
                         JOIN people p ON p.branch_id = t.branch AND p.person_id = l.person_id
                         WHERE l.person_id IS DISTINCT FROM t.owner_id
                         ORDER BY t.whom = 'duty_supervisor' AND p.role <> 'supervisor', l.height LIMIT 1), t.owner_id)
                    WHEN t.whom = 'deputy' THEN coalesce(
                        (SELECT d.person_id FROM people o JOIN people d ON d.branch_id = o.branch_id AND d.person_id = o.deputy_id
                         WHERE o.branch_id = t.branch AND o.person_id = t.owner_id AND d.retired_at IS NULL),
                        market_manager_of(t.branch, t.owner_id, t.retailer_id))
                    WHEN t.whom = 'market_manager' THEN coalesce(
                        -- nearly always the owner's superior is the one: then his line is not walked
                        (SELECT m.person_id FROM people o
                         JOIN people m ON m.branch_id = o.branch_id AND m.person_id = o.reports_to_id
                         WHERE o.branch_id = t.branch AND o.person_id = t.owner_id
                           AND m.role = 'market_manager' AND m.retired_at IS NULL),
                        market_manager_of(t.branch, t.owner_id, t.retailer_id))
                    ELSE duty_supervisor(t.branch) END AS addressee
        FROM told t
    ), whole AS (
        SELECT o.n, o.whom, k.addressee, NULL::integer AS target, o.skipped, o.created_at, o.tries
        FROM (SELECT unnest(items) AS n, addressee FROM known) k JOIN one o ON o.n = k.n
        UNION ALL
        SELECT o.n, coalesce(q.v_whom, o.whom), q.v_person, q.v_target, coalesce(o.skipped, CASE WHEN q.v_person IS NULL THEN 'nobody' END),
               o.created_at, o.tries
        FROM one o LEFT JOIN LATERAL silence_next(o.branch, o.follow_up, o.whom) q ON o.skipped IS NULL
        WHERE o.action = 'unacknowledged'
    )
    SELECT array_agg(w.addressee ORDER BY w.n), array_agg(w.skipped ORDER BY w.n), array_agg(w.created_at ORDER BY w.n),
           array_agg(w.whom ORDER BY w.n), array_agg(w.target ORDER BY w.n), array_agg(w.tries ORDER BY w.n)
        INTO v_addressee, v_skipped, v_made_at, v_whom, v_target, v_tries
    FROM whole w;

    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, details)
    SELECT x.branch, x.follow_up, step_type(x.action),
           json_build_object('step', x.step, 'whom', x.whom, 'person', p.code)::jsonb
           || CASE WHEN x.tries > 0 THEN jsonb_build_object('tries', x.tries) ELSE '{}' END
    FROM unnest(p_branch, p_follow_up, p_action, p_step, v_whom, v_addressee, v_skipped, v_tries)
        AS x (branch, follow_up, action, step, whom, addressee, skipped, tries)
    LEFT JOIN people p ON p.branch_id = x.branch AND p.person_id = x.addressee
    WHERE x.skipped IS NULL;

    PERFORM make_notifications(array_agg(x.branch), array_agg(x.follow_up), array_agg(step_type(x.action, x.whom)), array_agg(x.step),
                               array_agg(x.addressee), NULL, array_agg(x.channels), array_agg(x.target))
    FROM unnest(p_branch, p_follow_up, p_action, p_step, v_whom, v_addressee, v_skipped, p_channels, v_target)
        AS x (branch, follow_up, action, step, whom, addressee, skipped, channels, target)
    WHERE x.skipped IS NULL HAVING count(*) > 0;

    UPDATE follow_up_steps s SET fired_at = clock_timestamp(), skipped = x.skipped, whom = x.whom
        FROM unnest(p_branch, p_follow_up, p_step, v_skipped, v_whom) AS x (branch, follow_up, step, skipped, whom)
        WHERE s.branch_id = x.branch AND s.follow_up_id = x.follow_up AND s.step = x.step;

    IF 'unacknowledged' = ANY (p_action) THEN
        INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, due_at)
        SELECT x.branch, x.follow_up, 'unacknowledged-' || substr(x.step, 16)::integer + 1, 'unacknowledged', w.stages[w.place + 1],
               acknowledge_by(x.branch, now(), p.acknowledge_within)
        FROM unnest(p_branch, p_follow_up, p_action, p_step, v_whom, v_skipped) AS x (branch, follow_up, action, step, whom, skipped)
        CROSS JOIN LATERAL (SELECT q.stages, array_position(q.stages, x.whom) AS place
            FROM (SELECT '{next_channel,deputy,market_manager,duty_supervisor}'::text[] AS stages) q) w
        JOIN follow_ups f ON f.branch_id = x.branch AND f.follow_up_id = x.follow_up
        JOIN policies p ON p.branch_id = f.branch_id AND p.policy_id = f.policy_id
        WHERE x.action = 'unacknowledged' AND x.skipped IS NULL AND x.step ~ '^unacknowledged-[0-9]+$' AND w.place < 4
          AND p.acknowledge_within IS NOT NULL
        ON CONFLICT DO NOTHING;
    END IF;
END $$;
COMMENT ON FUNCTION fire_steps(integer[], bigint[], text[], text[], text[], text[]) IS
    'Deals with steps that the clock has claimed: notification, history, mark, and what follows on silence.';

-- p_after: a hint from the look before (null: none); rows may have been committed behind it, so that now and then the whole
-- range is to be claimed. Claiming a step, making its notification and marking it fired is one transaction. A step that
-- cannot be fired must not keep the others: the caller asks for fewer and fewer, and one that fails alone is skipped.
-- Gives a row for each step dealt with (action, skipped, seconds of lateness), and behind them one without an action:
-- looked_until is the next look's p_after, next_in the seconds until the next step is due (null: none is).
CREATE OR REPLACE FUNCTION fire_due_steps(p_after timestamptz, p_most integer)
RETURNS TABLE (action text, skipped text, lateness double precision, looked_until timestamptz, next_in double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp ROWS 16
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    v_branch integer[];
    v_follow_up bigint[];
    v_step text[];
    v_action text[];
    v_whom text[];
    v_channels text[];
    v_due timestamptz[];
    v_fired record;
BEGIN
    SELECT array_agg(q.branch_id), array_agg(q.follow_up_id), array_agg(q.step), array_agg(q.action), array_agg(q.whom),
           array_agg(q.due_at), array_agg(q.channels::text)
        INTO v_branch, v_follow_up, v_step, v_action, v_whom, v_due, v_channels
    FROM (SELECT s.branch_id, s.follow_up_id, s.step, s.action, s.whom, s.due_at, s.channels FROM follow_up_steps s
          WHERE s.fired_at IS NULL AND s.due_at <= now() AND s.due_at >= coalesce(p_after, '-infinity')
          ORDER BY s.due_at LIMIT p_most FOR NO KEY UPDATE SKIP LOCKED) q;

    IF v_branch IS NOT NULL AND p_most > 1 THEN
        SELECT * INTO v_fired FROM fire_steps(v_branch, v_follow_up, v_step, v_action, v_whom, v_channels);
    ELSIF v_branch IS NOT NULL THEN
        BEGIN
            SELECT * INTO v_fired FROM fire_steps(v_branch, v_follow_up, v_step, v_action, v_whom, v_channels);
        EXCEPTION WHEN data_exception OR integrity_constraint_violation OR syntax_error_or_access_rule_violation
                    OR plpgsql_error OR internal_error THEN
            RAISE WARNING 'step % of follow-up % cannot be fired: %', v_step[1], v_follow_up[1], SQLERRM;
            UPDATE follow_up_steps SET fired_at = clock_timestamp(), skipped = 'failed'
                WHERE branch_id = v_branch[1] AND follow_up_id = v_follow_up[1] AND step = v_step[1];
            SELECT ARRAY['failed'] AS v_skipped, v_due AS v_made_at INTO v_fired;
        END;
    END IF;
    IF v_branch IS NOT NULL THEN
        -- A step that was past when its follow-up was made is not late for that.
        RETURN QUERY SELECT x.action, x.skipped, extract(epoch FROM clock_timestamp() - greatest(x.due, x.made_at))::double precision,
                            NULL::timestamptz, NULL::double precision
            FROM unnest(v_action, v_fired.v_skipped, v_due, v_fired.v_made_at) AS x (action, skipped, due, made_at);
    END IF;

    RETURN QUERY SELECT NULL::text, NULL::text, NULL::double precision,
        CASE WHEN cardinality(v_branch) = p_most THEN v_due[p_most] ELSE now() END,
        (SELECT greatest(0, extract(epoch FROM s.due_at - clock_timestamp()))::double precision FROM follow_up_steps s
         WHERE s.fired_at IS NULL AND s.due_at > now() ORDER BY s.due_at LIMIT 1);
END $$;
REVOKE EXECUTE ON FUNCTION fire_due_steps FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fire_due_steps TO ringback_app;
COMMENT ON FUNCTION fire_due_steps IS
    'Claims steps that are due, notifies whom they are meant for, marks them fired; those no longer needed are skipped.';

-- Never waits long for the lock on event_bodies, behind which intake would queue: the months are made ahead, the next minute
-- tries again. A month that has rows in the default partition already stays there.
CREATE OR REPLACE FUNCTION tidy() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    v_month timestamp;
    v_name text;
    v_made integer := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('ringback.tidy', 0)) THEN
        RETURN 0;
    END IF;
    BEGIN
        PERFORM extend_calendars(), watch_calls();
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    END;
    FOR ahead IN 0..2 LOOP
        v_month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => ahead);
        v_name := 'event_bodies_' || to_char(v_month, 'YYYY_MM');
        CONTINUE WHEN to_regclass('ringback.' || v_name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE %I PARTITION OF event_bodies FOR VALUES FROM (%L) TO (%L)', v_name,
                           v_month AT TIME ZONE 'UTC', (v_month + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('COMMENT ON TABLE %I IS %L', v_name, 'What was sent in ' || to_char(v_month, 'YYYY-MM') || ' (UTC).');
            v_made := v_made + 1;
        EXCEPTION WHEN lock_not_available OR check_violation THEN
            NULL;
        END;
    END LOOP;
    RETURN v_made;
END $$;
REVOKE EXECUTE ON FUNCTION tidy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidy TO ringback_app;
COMMENT ON FUNCTION tidy IS 'Makes the partitions of event_bodies for this and the next two months, and says how many; counts calendars on; watches calls.';
COMMENT ON COLUMN follow_up_steps.skipped IS 'Why nobody was notified: "late" (already past when the event arrived), "closed", "contacted", '
    '"acknowledged", "tried" or "nobody" (nobody is left to tell; these three of silence), "kept", "answered" or "replaced" (what it was for '
    'is over), or "failed" (it cannot be fired; the log says why).';
