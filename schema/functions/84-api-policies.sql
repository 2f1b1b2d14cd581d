-- Policies at the console: read, made, changed by a new version, ended, and what a change would do before it is made.
--
-- A policy's document is flat: its conditions (class, kind, category, severity; null: any), its times in minutes, and its ladder.
-- What may be written of it is the same in every body; a change is laid over what is there. Faults are all told at once.
--
-- Lock order: the branch's row, which keeps two changes of its policies apart; follow_ups by id; their steps.

CREATE OR REPLACE FUNCTION minutes_of(p_time interval) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT trim_scale(round(extract(epoch FROM p_time) / 60, 3))
$$;
GRANT EXECUTE ON FUNCTION minutes_of TO ringback_console;
COMMENT ON FUNCTION minutes_of(interval) IS 'A time in minutes.';

-- What of a policy can be written.
CREATE OR REPLACE FUNCTION policy_terms(p policies) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('name', p.name, 'class', p.class, 'kind', p.kind, 'category', p.category, 'severity', p.severity,
        'deadline_minutes', minutes_of(p.deadline), 'work_deadline_minutes', minutes_of(p.work_deadline), 'proof_seconds', p.proof_seconds,
        'acknowledge_minutes', minutes_of(p.acknowledge_within), 'verify_severity', p.verify_severity,
        'steps', (SELECT coalesce(jsonb_agg(jsonb_build_object('step', s.step, 'action', s.action, 'percent', trim_scale(s.share * 100),
                         'minutes', minutes_of(s.plus), 'clock', s.clock, 'whom', s.whom, 'channels', to_jsonb(s.channels))
                         ORDER BY s.clock, s.share, s.plus, s.step), '[]')
                  FROM policy_steps s WHERE s.branch_id = p.branch_id AND s.policy_id = p.policy_id))
$$;
GRANT EXECUTE ON FUNCTION policy_terms TO ringback_console;
COMMENT ON FUNCTION policy_terms(policies) IS 'What of a policy can be written, as it is written.';

CREATE OR REPLACE FUNCTION policy_document(p policies) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', p.policy_id, 'version', p.version, 'default', num_nonnulls(p.class, p.kind, p.category, p.severity) = 0,
               'valid_from', p.valid_from, 'valid_until', p.valid_until, 'made_by', p.made_by, 'replaces', p.replaces_id,
               'replaced_by', (SELECT n.policy_id FROM policies n WHERE n.branch_id = p.branch_id AND n.replaces_id = p.policy_id))
        || policy_terms(p)
$$;
GRANT EXECUTE ON FUNCTION policy_document TO ringback_console;
COMMENT ON FUNCTION policy_document(policies) IS 'A policy as the console shows it.';

CREATE OR REPLACE FUNCTION is_whole(p_value jsonb, p_least bigint, p_most bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_typeof(p_value) = 'number' AND CASE WHEN (p_value #>> '{}') ~ '^-?[0-9]{1,12}$'
           THEN (p_value #>> '{}')::bigint BETWEEN p_least AND p_most ELSE false END
$$;
COMMENT ON FUNCTION is_whole(jsonb, bigint, bigint) IS 'Whether it is a whole number between these.';

CREATE OR REPLACE FUNCTION step_faults(p_terms jsonb) RETURNS TABLE (pointer text, detail text) LANGUAGE sql STABLE AS $$
    SELECT '/steps/' || x.i - 1 || f.member, f.detail
    FROM jsonb_array_elements(CASE jsonb_typeof(p_terms -> 'steps') WHEN 'array' THEN p_terms -> 'steps' ELSE '[]' END) WITH ORDINALITY AS x (s, i)
    CROSS JOIN LATERAL (SELECT jsonb_typeof(x.s) = 'object' AS fine, CASE jsonb_typeof(x.s) WHEN 'object' THEN x.s ELSE '{}' END AS o) t
    CROSS JOIN LATERAL (VALUES
        ('', CASE WHEN NOT t.fine THEN 'a step is an object' END),
        ('', (SELECT format('there is no member "%s": step, action, percent, minutes, clock, whom, channels are', k)
              FROM jsonb_object_keys(t.o) k WHERE k <> ALL ('{step,action,percent,minutes,clock,whom,channels}') LIMIT 1)),
        ('/step', CASE WHEN coalesce(t.o ->> 'step', '') !~ '^[a-z0-9-]{1,40}$' THEN 'a name of small letters, digits and hyphens'
                       WHEN EXISTS (SELECT FROM jsonb_array_elements(p_terms -> 'steps') WITH ORDINALITY AS y (s, i)
                                    WHERE y.i < x.i AND y.s ->> 'step' = t.o ->> 'step') THEN 'a step of this name is there already'
                       WHEN t.o ->> 'step' ~ '^(promised|request|unacknowledged|assigned)' THEN 'a name that steps of other kinds have' END),
        ('/action', CASE WHEN coalesce(t.o ->> 'action', '') <> ALL ('{reminded,overdue,escalated}') THEN 'reminded, overdue or escalated' END),
        ('/whom', CASE WHEN coalesce(t.o ->> 'whom', '') <> ALL ('{owner,deputy,market_manager,duty_supervisor}')
                       THEN 'owner, deputy, market_manager or duty_supervisor' END),
        ('/percent', CASE WHEN NOT (t.o ? 'percent' OR t.o ? 'minutes') THEN 'say when: percent of the deadline, minutes, or both'
                          WHEN t.o ? 'percent' AND coalesce(t.o ->> 'percent', '') !~ '^[0-9]{1,4}(\.[0-9]{1,2})?$' THEN 'a number from 0 to 9999.99' END),
        ('/minutes', CASE WHEN t.o ? 'minutes' AND is_whole(t.o -> 'minutes', -525600, 525600) IS NOT TRUE THEN 'a whole number of minutes, at most a year' END),
        ('/clock', CASE WHEN t.o ? 'clock' AND coalesce(t.o ->> 'clock', '') <> ALL ('{wall,work}') THEN 'wall or work'
                        WHEN t.o ->> 'clock' = 'work' AND jsonb_typeof(p_terms -> 'work_deadline_minutes') IS DISTINCT FROM 'number'
                        THEN 'in working time, but the policy has no work_deadline_minutes' END),
        ('/channels', CASE WHEN jsonb_typeof(t.o -> 'channels') NOT IN ('array', 'null') OR t.o -> 'channels' = '[]'
                             OR NOT coalesce(t.o -> 'channels' <@ '["webhook","wecom","dingtalk","email","console"]' OR t.o -> 'channels' = 'null', true)
                           THEN 'null for all of his, or some of: webhook, wecom, dingtalk, email, console' END)
        ) AS f (member, detail)
    WHERE f.detail IS NOT NULL
    UNION ALL
    -- Only of steps whose times can be read.
    SELECT '/steps/' || x.i - 1 || f.member, f.detail
    FROM jsonb_array_elements(CASE jsonb_typeof(p_terms -> 'steps') WHEN 'array' THEN p_terms -> 'steps' ELSE '[]' END) WITH ORDINALITY AS x (s, i)
    CROSS JOIN LATERAL (SELECT CASE x.s ->> 'clock' WHEN 'work' THEN p_terms -> 'work_deadline_minutes' ELSE p_terms -> 'deadline_minutes' END AS whole) d
    CROSS JOIN LATERAL (SELECT CASE WHEN jsonb_typeof(d.whole) = 'number' AND coalesce(x.s ->> 'percent', '0') ~ '^[0-9]{1,4}(\.[0-9]{1,2})?$'
                                     AND coalesce(x.s ->> 'minutes', '0') ~ '^-?[0-9]{1,6}$'
        THEN (d.whole #>> '{}')::numeric * coalesce((x.s ->> 'percent')::numeric, 0) / 100 + coalesce((x.s ->> 'minutes')::numeric, 0) END AS at,
        CASE jsonb_typeof(d.whole) WHEN 'number' THEN (d.whole #>> '{}')::numeric END AS due) t
    CROSS JOIN LATERAL (VALUES
        ('/minutes', CASE WHEN t.at < 0 THEN 'before the complaint is raised' END),
        ('/action', CASE WHEN x.s ->> 'action' = 'overdue' AND t.at < t.due THEN 'overdue before the deadline: that is a reminder' END)) AS f (member, detail)
    WHERE f.detail IS NOT NULL
$$;
COMMENT ON FUNCTION step_faults(jsonb) IS 'What is wrong with the ladder of a policy, and where.';

CREATE OR REPLACE FUNCTION policy_faults(p_branch integer, p_terms jsonb) RETURNS TABLE (pointer text, detail text) LANGUAGE sql STABLE AS $$
    SELECT f.pointer, f.detail FROM (VALUES
        ('/name', CASE WHEN jsonb_typeof(p_terms -> 'name') IS DISTINCT FROM 'string' OR p_terms ->> 'name' !~ '^[^[:cntrl:]]{1,100}$'
                         OR p_terms ->> 'name' !~ '[^[:space:]]' THEN 'a text of 1 to 100 characters' END),
        ('/class', CASE WHEN p_terms ->> 'class' <> ALL ('{key,ordinary}') THEN 'key, ordinary or null for any' END),
        ('/kind', CASE WHEN p_terms ->> 'kind' <> ALL ('{complaint,opinion,request,suggestion,inquiry,report}')
                       THEN 'complaint, opinion, request, suggestion, inquiry, report or null for any' END),
        ('/category', CASE WHEN jsonb_typeof(p_terms -> 'category') NOT IN ('string', 'null') OR p_terms ->> 'category' !~ '^[^[:cntrl:]]{1,100}$'
                           THEN 'a text of 1 to 100 characters, or null for any' END),
        ('/severity', CASE WHEN p_terms -> 'severity' <> 'null' AND is_whole(p_terms -> 'severity', 1, 3) IS NOT TRUE THEN 'this severity and up: 1 to 3, or null for any' END),
        ('/deadline_minutes', CASE WHEN is_whole(p_terms -> 'deadline_minutes', 1, 525600) IS NOT TRUE THEN 'a whole number of minutes, at most a year' END),
        ('/work_deadline_minutes', CASE WHEN p_terms -> 'work_deadline_minutes' <> 'null' AND is_whole(p_terms -> 'work_deadline_minutes', 1, 60000) IS NOT TRUE
                                        THEN 'a whole number of working minutes up to 60000, or null for none' END),
        ('/proof_seconds', CASE WHEN is_whole(p_terms -> 'proof_seconds', 0, 3600) IS NOT TRUE THEN 'a whole number of seconds from 0 to 3600' END),
        ('/acknowledge_minutes', CASE WHEN p_terms -> 'acknowledge_minutes' <> 'null' AND is_whole(p_terms -> 'acknowledge_minutes', 1, 525600) IS NOT TRUE
                                      THEN 'a whole number of minutes, or null for never' END),
        ('/verify_severity', CASE WHEN p_terms -> 'verify_severity' <> 'null' AND is_whole(p_terms -> 'verify_severity', 1, 3) IS NOT TRUE
                                  THEN 'from this severity up a supervisor verifies: 1 to 3, or null for never' END),
        ('/steps', CASE WHEN jsonb_typeof(p_terms -> 'steps') IS DISTINCT FROM 'array' THEN 'a list of steps'
                        WHEN jsonb_array_length(p_terms -> 'steps') > 50 THEN 'at most 50 steps' END)) AS f (pointer, detail)
    WHERE f.detail IS NOT NULL
    UNION ALL
    SELECT '/' || k, 'there is no such member: ' || 'name, class, kind, category, severity, deadline_minutes, work_deadline_minutes, proof_seconds, '
                     'acknowledge_minutes, verify_severity, steps and apply_to_open are'
    FROM jsonb_object_keys(p_terms) k WHERE k <> ALL ('{name,class,kind,category,severity,deadline_minutes,work_deadline_minutes,proof_seconds,'
                                                      'acknowledge_minutes,verify_severity,steps}')
    UNION ALL
    SELECT * FROM step_faults(p_terms)
$$;
COMMENT ON FUNCTION policy_faults(integer, jsonb) IS 'What is wrong with the terms of a policy by themselves, and where.';

-- p_replaces: the version that ends with it, or null for a policy that is new. Gives the id.
CREATE OR REPLACE FUNCTION save_policy(p_branch integer, p_terms jsonb, p_replaces integer, p_actor text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_faults jsonb;
    v_old policies;
    v_new policies;
    v_other policies;
BEGIN
    SELECT jsonb_agg(jsonb_build_object('pointer', f.pointer, 'code', 'invalid-data', 'detail', f.detail) ORDER BY f.pointer) INTO v_faults
        FROM policy_faults(p_branch, p_terms) f;
    IF v_faults IS NOT NULL THEN
        PERFORM refuse(422, 'invalid-data', format('the policy is not right: %s: %s', v_faults #>> '{0,pointer}', v_faults #>> '{0,detail}'), v_faults);
    END IF;
    PERFORM FROM branches WHERE branch_id = p_branch FOR NO KEY UPDATE;
    SELECT * INTO v_old FROM policies WHERE branch_id = p_branch AND policy_id = p_replaces;
    IF v_old.valid_until IS NOT NULL THEN
        PERFORM refuse(409, 'not-in-force', 'this version has ended: change the one that is in force');
    END IF;
    UPDATE policies SET valid_until = now() WHERE branch_id = p_branch AND policy_id = p_replaces;
    IF EXISTS (SELECT FROM policies WHERE branch_id = p_branch AND name = p_terms ->> 'name' AND valid_until IS NULL) THEN
        PERFORM refuse(409, 'exists', format('a policy named "%s" is in force already: change that one', p_terms ->> 'name'));
    END IF;

    INSERT INTO policies (branch_id, version, name, class, kind, category, severity, deadline, work_deadline, proof_seconds, acknowledge_within,
                          verify_severity, replaces_id, made_by)
    SELECT p_branch, coalesce(v_old.version, (SELECT max(e.version) FROM policies e WHERE e.branch_id = p_branch AND e.name = t.name), 0) + 1, t.name,
           t.class, t.kind, t.category, t.severity, make_interval(mins => t.deadline_minutes), make_interval(mins => t.work_deadline_minutes),
           t.proof_seconds, make_interval(mins => t.acknowledge_minutes), t.verify_severity, p_replaces, p_actor
    FROM jsonb_to_record(p_terms) AS t (name text, class text, kind text, category text, severity smallint, deadline_minutes integer,
        work_deadline_minutes integer, proof_seconds integer, acknowledge_minutes integer, verify_severity smallint)
    RETURNING * INTO v_new;
    INSERT INTO policy_steps (branch_id, policy_id, step, action, share, plus, whom, channels, clock)
    SELECT p_branch, v_new.policy_id, s.step, s.action, coalesce(s.percent, 0) / 100, make_interval(mins => coalesce(s.minutes, 0)), s.whom,
           CASE WHEN jsonb_typeof(s.channels) = 'array' THEN ARRAY(SELECT DISTINCT jsonb_array_elements_text(s.channels)) END, coalesce(s.clock, 'wall')
    FROM jsonb_to_recordset(p_terms -> 'steps') AS s (step text, action text, percent numeric, minutes integer, clock text, whom text, channels jsonb);

    IF NOT EXISTS (SELECT FROM policies WHERE branch_id = p_branch AND valid_until IS NULL AND num_nonnulls(class, kind, category, severity) = 0) THEN
        PERFORM refuse(409, 'no-default', 'one policy must be without conditions, for what no other one fits');
    END IF;
    SELECT o.* INTO v_other FROM policies o
        WHERE o.branch_id = p_branch AND o.valid_until IS NULL AND o.policy_id <> v_new.policy_id AND policies_contend(v_new, o)
        ORDER BY o.policy_id LIMIT 1;
    IF FOUND THEN
        PERFORM refuse(409, 'contradiction', format('"%s" and "%s" are equally specific and can both hold for one complaint: '
            'give one of them another condition', v_new.name, v_other.name));
    END IF;
    PERFORM write_audit(p_branch, p_actor, CASE WHEN p_replaces IS NULL THEN 'policy-add' ELSE 'policy-change' END, v_new.name,
        jsonb_build_object('policy', v_new.policy_id, 'version', v_new.version, 'replaces', p_replaces));
    RETURN v_new.policy_id;
END $$;
COMMENT ON FUNCTION save_policy(integer, jsonb, integer, text) IS 'Stores a policy, the next version of another one if it replaces it; refuses what contradicts one in force.';

-- The follow-ups nobody has called back for yet that a new version concerns: those under the version it replaces that its
-- conditions still fit; of a policy that is new, those it would win from the policy they are under.
CREATE OR REPLACE FUNCTION policy_reach(p_branch integer, p_policy integer)
RETURNS TABLE (follow_up_id bigint, old_due timestamptz, new_due timestamptz, old_work_due timestamptz, raised_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT f.follow_up_id, f.due_at, f.raised_at + n.deadline, f.work_due_at, f.raised_at
    FROM policies n
    JOIN follow_ups f ON f.branch_id = n.branch_id AND f.state IN ('open', 'acknowledged')
    JOIN policies u ON u.branch_id = f.branch_id AND u.policy_id = f.policy_id
    LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id
    WHERE n.branch_id = p_branch AND n.policy_id = p_policy
      AND coalesce(r.class = n.class, n.class IS NULL) AND coalesce(f.kind = n.kind, n.kind IS NULL)
      AND coalesce(f.category = n.category, n.category IS NULL) AND coalesce(f.severity >= n.severity, n.severity IS NULL)
      AND CASE WHEN n.replaces_id IS NOT NULL THEN f.policy_id = n.replaces_id
               ELSE (num_nonnulls(n.class, n.kind, n.category, n.severity), coalesce(n.severity, 0))
                    > (num_nonnulls(u.class, u.kind, u.category, u.severity), coalesce(u.severity, 0)) END
$$;
COMMENT ON FUNCTION policy_reach(integer, integer) IS 'Open follow-ups that a new version of a policy concerns, with their deadline now and by it.';

CREATE OR REPLACE FUNCTION policy_effect(p_branch integer, p_policy integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'under_old_version', (SELECT count(*) FROM policies n JOIN follow_ups f ON f.branch_id = n.branch_id AND f.policy_id = n.replaces_id
                              WHERE n.branch_id = p_branch AND n.policy_id = p_policy AND f.state <> 'closed'),
        'concerned', count(*), 'other_deadline', count(*) FILTER (WHERE r.new_due <> r.old_due),
        'earlier', count(*) FILTER (WHERE r.new_due < r.old_due), 'later', count(*) FILTER (WHERE r.new_due > r.old_due),
        'overdue_at_once', count(*) FILTER (WHERE r.new_due <= now() AND r.old_due > now()),
        'no_longer_overdue', count(*) FILTER (WHERE r.new_due > now() AND r.old_due <= now()))
    FROM policy_reach(p_branch, p_policy) r
$$;
COMMENT ON FUNCTION policy_effect(integer, integer) IS 'What a new version would do to open follow-ups if it were applied to them.';

-- Open follow-ups go over to a new version: deadlines anew from when they were raised, steps that have not been fired as its ladder says.
-- A step that was fired stays; one that the new ladder has not is skipped as "replaced"; of those past by now only the latest
-- is left for the clock, which fires it at once.
CREATE OR REPLACE FUNCTION apply_policy(p_branch integer, p_policy integer, p_by integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_ids bigint[];
    v_raised timestamptz[];
    v_calendar integer;
BEGIN
    SELECT array_agg(q.follow_up_id), array_agg(q.raised_at) INTO v_ids, v_raised
    FROM (SELECT f.follow_up_id, f.raised_at FROM follow_ups f
          WHERE f.branch_id = p_branch AND f.follow_up_id IN (SELECT r.follow_up_id FROM policy_reach(p_branch, p_policy) r)
          ORDER BY f.follow_up_id FOR NO KEY UPDATE) q;
    IF v_ids IS NULL THEN
        RETURN 0;
    END IF;
    SELECT CASE WHEN p.work_deadline IS NOT NULL THEN calendar_in_force(p_branch) END INTO v_calendar
        FROM policies p WHERE p.branch_id = p_branch AND p.policy_id = p_policy;

    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, by_person_id, details)
    SELECT p_branch, f.follow_up_id, 'policy-changed', p_by, jsonb_build_object('from', jsonb_build_object('policy', o.name, 'version', o.version,
               'due_at', f.due_at), 'to', jsonb_build_object('policy', n.name, 'version', n.version, 'due_at', f.raised_at + n.deadline))
    FROM follow_ups f
    JOIN policies o ON o.branch_id = f.branch_id AND o.policy_id = f.policy_id
    JOIN policies n ON n.branch_id = f.branch_id AND n.policy_id = p_policy
    WHERE f.branch_id = p_branch AND f.follow_up_id = ANY (v_ids);

    -- Steps of the old ladder; those of other kinds (a promised time, a request) are not a policy's.
    UPDATE follow_up_steps s SET fired_at = now(), skipped = 'replaced'
        FROM follow_ups f, policy_steps o
        WHERE s.branch_id = p_branch AND s.follow_up_id = ANY (v_ids) AND s.fired_at IS NULL
          AND f.branch_id = s.branch_id AND f.follow_up_id = s.follow_up_id
          AND o.branch_id = s.branch_id AND o.policy_id = f.policy_id AND o.step = s.step;
    UPDATE follow_ups f SET policy_id = p_policy, due_at = f.raised_at + n.deadline, calendar_id = v_calendar,
            work_due_at = CASE WHEN v_calendar IS NOT NULL THEN working_time_add(p_branch, f.raised_at, n.work_deadline, v_calendar) END
        FROM policies n
        WHERE f.branch_id = p_branch AND f.follow_up_id = ANY (v_ids) AND n.branch_id = p_branch AND n.policy_id = p_policy;
    INSERT INTO follow_up_steps AS s (branch_id, follow_up_id, step, action, whom, channels, due_at, fired_at, skipped)
    SELECT branch, follow_up, step, action, whom, channels, due_at, CASE WHEN late THEN now() END, CASE WHEN late THEN 'late' END
    FROM (SELECT l.*, l.due_at <= now() AND row_number() OVER (PARTITION BY l.follow_up, l.due_at <= now()
                                                               ORDER BY l.due_at DESC, l.step DESC) > 1 AS late
          FROM ladder(array_fill(p_branch, ARRAY[cardinality(v_ids)]), v_ids, array_fill(p_policy, ARRAY[cardinality(v_ids)]), v_raised,
                      array_fill(v_calendar, ARRAY[cardinality(v_ids)])) l
          LEFT JOIN follow_up_steps d ON d.branch_id = l.branch AND d.follow_up_id = l.follow_up AND d.step = l.step
          WHERE d.fired_at IS NULL OR d.skipped = 'replaced') q
    ON CONFLICT (branch_id, follow_up_id, step) DO UPDATE SET action = excluded.action, whom = excluded.whom, channels = excluded.channels,
        due_at = excluded.due_at, fired_at = excluded.fired_at, skipped = excluded.skipped;
    RETURN cardinality(v_ids);
END $$;
COMMENT ON FUNCTION apply_policy(integer, integer, integer) IS 'Puts the open follow-ups that a new version concerns under it; says how many.';

-- The terms that a request asks for, over those of the version it changes; and whether open follow-ups are to go over to it.
CREATE OR REPLACE FUNCTION asked_terms(p_body jsonb, p_base jsonb, OUT terms jsonb, OUT apply boolean) LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_typeof(p_body) IS DISTINCT FROM 'object' THEN
        PERFORM refuse(422, 'invalid-data', 'the body is a JSON object');
    ELSIF jsonb_typeof(p_body -> 'apply_to_open') <> 'boolean' THEN
        PERFORM fault('/apply_to_open', 'true or false');
    END IF;
    terms := p_base || (p_body - 'apply_to_open');
    apply := coalesce((p_body -> 'apply_to_open')::boolean, false);
END $$;
GRANT EXECUTE ON FUNCTION asked_terms TO ringback_console;
COMMENT ON FUNCTION asked_terms(jsonb, jsonb) IS 'The terms of a policy that a body asks for.';

-- A policy without a ladder would forget whom it promised to tell: unless it brings one it has that of the one without conditions.
CREATE OR REPLACE FUNCTION new_policy_terms() RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT '{"class": null, "kind": null, "category": null, "severity": null, "work_deadline_minutes": null, "proof_seconds": 10,
             "acknowledge_minutes": 60, "verify_severity": null}'::jsonb
        || jsonb_build_object('steps', coalesce((SELECT policy_terms(p) -> 'steps' FROM policies p
            WHERE p.branch_id = asker_branch() AND p.valid_until IS NULL AND num_nonnulls(p.class, p.kind, p.category, p.severity) = 0
            ORDER BY p.version DESC, p.policy_id LIMIT 1), '[]'))
$$;
GRANT EXECUTE ON FUNCTION new_policy_terms TO ringback_console;
COMMENT ON FUNCTION new_policy_terms() IS 'What a new policy has unless it says otherwise.';

CREATE OR REPLACE FUNCTION write_policy(p_terms jsonb, p_replaces integer, p_apply boolean, OUT policy integer, OUT applied integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
BEGIN
    policy := save_policy(asker_branch(), p_terms, p_replaces, asker_actor());
    applied := CASE WHEN p_apply THEN apply_policy(asker_branch(), policy, asker_person()) ELSE 0 END;
END $$;
REVOKE EXECUTE ON FUNCTION write_policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION write_policy TO ringback_console;
COMMENT ON FUNCTION write_policy(jsonb, integer, boolean) IS 'Saves a policy of the asker''s branch, and applies it to open follow-ups if told to.';

-- Saved, looked at, and undone: what it says is what would happen.
CREATE OR REPLACE FUNCTION try_policy(p_terms jsonb, p_replaces integer) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_policy integer;
    v_detail text;
BEGIN
    v_policy := save_policy(asker_branch(), p_terms, p_replaces, asker_actor());
    RAISE EXCEPTION USING ERRCODE = 'RBTRY', MESSAGE = 'not for keeping', DETAIL = policy_effect(asker_branch(), v_policy)::text;
EXCEPTION WHEN SQLSTATE 'RBTRY' THEN
    GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
    RETURN v_detail::jsonb;
END $$;
REVOKE EXECUTE ON FUNCTION try_policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION try_policy TO ringback_console;
COMMENT ON FUNCTION try_policy(jsonb, integer) IS 'What saving a policy would do to open follow-ups; refuses what saving would refuse.';

CREATE OR REPLACE FUNCTION end_policy(p_policy integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_policy policies;
BEGIN
    PERFORM FROM branches WHERE branch_id = asker_branch() FOR NO KEY UPDATE;
    SELECT * INTO v_policy FROM policies WHERE branch_id = asker_branch() AND policy_id = p_policy;
    IF num_nonnulls(v_policy.class, v_policy.kind, v_policy.category, v_policy.severity) = 0 THEN
        PERFORM refuse(409, 'no-default', 'the policy without conditions cannot end: it is for what no other one fits; change it instead');
    ELSIF v_policy.valid_until IS NULL THEN
        UPDATE policies SET valid_until = now() WHERE branch_id = asker_branch() AND policy_id = p_policy;
        PERFORM write_audit(asker_branch(), asker_actor(), 'policy-end', v_policy.name, jsonb_build_object('policy', p_policy, 'version', v_policy.version));
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION end_policy FROM PUBLIC;
GRANT EXECUTE ON FUNCTION end_policy TO ringback_console;
COMMENT ON FUNCTION end_policy(integer) IS 'From now on a policy of the asker''s branch holds for nothing new.';

CREATE OR REPLACE FUNCTION policy_asked(p_id text) RETURNS policies LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_policy policies;
BEGIN
    SELECT * INTO v_policy FROM policies WHERE branch_id = asker_branch() AND policy_id = CASE WHEN p_id ~ '^[0-9]{1,9}$' THEN p_id::integer END;
    IF NOT FOUND THEN
        PERFORM found_nothing('policy');
    END IF;
    RETURN v_policy;
END $$;
COMMENT ON FUNCTION policy_asked(text) IS 'The policy of the asker''s branch with this id, else 404.';

CREATE OR REPLACE FUNCTION policy_answer(p_policy integer, p_status integer, p_applied integer DEFAULT NULL) RETURNS answer LANGUAGE sql STABLE AS $$
    SELECT answer_json(policy_document(p) || CASE WHEN p_applied IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('applied_to_open', p_applied) END, p_status,
        p.policy_id || CASE WHEN p.valid_until IS NULL THEN '' ELSE '-ended' END,
        CASE WHEN p_applied IS NOT NULL THEN '/api/v1/policies/' || p.policy_id END)
    FROM policies p WHERE p.branch_id = asker_branch() AND p.policy_id = p_policy
$$;
COMMENT ON FUNCTION policy_answer(integer, integer, integer) IS 'A policy with its ETag; one that was just made with its place.';

CREATE OR REPLACE FUNCTION api_list_policies(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after jsonb := asked_cursor(p, 1);
    v_versions text := coalesce(asked_one(p, 'versions', '{in_force,all}'), 'in_force');
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(policy_document(q.y)::json ORDER BY q.policy_id), array_agg(jsonb_build_array(q.policy_id) ORDER BY q.policy_id) INTO v_items, v_keys
    FROM (SELECT y, y.policy_id FROM policies y
          WHERE y.branch_id = asker_branch() AND (v_versions = 'all' OR y.valid_until IS NULL)
            AND (v_after IS NULL OR y.policy_id > cursor_number(v_after, 0))
          ORDER BY y.policy_id LIMIT v_limit + 1) q;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_policies(jsonb) IS 'The policies in force, or all versions.';

CREATE OR REPLACE FUNCTION api_get_policy(p jsonb) RETURNS answer LANGUAGE sql STABLE AS $$
    SELECT policy_answer((policy_asked(p #>> '{path,id}')).policy_id, 200)
$$;
COMMENT ON FUNCTION api_get_policy(jsonb) IS 'One version of a policy.';

CREATE OR REPLACE FUNCTION api_add_policy(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    a record;
    w record;
BEGIN
    SELECT * INTO a FROM asked_terms(p -> 'body', new_policy_terms());
    SELECT * INTO w FROM write_policy(a.terms, NULL, a.apply);
    RETURN policy_answer(w.policy, 201, w.applied);
END $$;
COMMENT ON FUNCTION api_add_policy(jsonb) IS 'A new policy.';

CREATE OR REPLACE FUNCTION api_change_policy(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_policy policies := policy_asked(p #>> '{path,id}');
    a record;
    w record;
BEGIN
    PERFORM check_match(p, v_policy.policy_id || CASE WHEN v_policy.valid_until IS NULL THEN '' ELSE '-ended' END);
    SELECT * INTO a FROM asked_terms(p -> 'body', policy_terms(v_policy));
    IF a.terms = policy_terms(v_policy) AND NOT a.apply AND v_policy.valid_until IS NULL THEN
        RETURN policy_answer(v_policy.policy_id, 200, 0);
    END IF;
    SELECT * INTO w FROM write_policy(a.terms, v_policy.policy_id, a.apply);
    RETURN policy_answer(w.policy, 200, w.applied);
END $$;
COMMENT ON FUNCTION api_change_policy(jsonb) IS 'The next version of a policy, which ends this one.';

CREATE OR REPLACE FUNCTION api_end_policy(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_policy policies := policy_asked(p #>> '{path,id}');
BEGIN
    PERFORM check_match(p, v_policy.policy_id || CASE WHEN v_policy.valid_until IS NULL THEN '' ELSE '-ended' END);
    PERFORM end_policy(v_policy.policy_id);
    RETURN policy_answer(v_policy.policy_id, 200);
END $$;
COMMENT ON FUNCTION api_end_policy(jsonb) IS 'Ends a policy.';

CREATE OR REPLACE FUNCTION api_preview_policy(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_body jsonb := p -> 'body';
    v_policy policies;
    a record;
BEGIN
    IF v_body -> 'replaces' <> 'null' THEN
        v_policy := policy_asked(v_body ->> 'replaces');
    END IF;
    SELECT * INTO a FROM asked_terms(CASE jsonb_typeof(v_body) WHEN 'object' THEN v_body - 'replaces' ELSE v_body END,
                                     CASE WHEN v_policy.policy_id IS NULL THEN new_policy_terms() ELSE policy_terms(v_policy) END);
    RETURN answer_json(try_policy(a.terms, v_policy.policy_id) || jsonb_build_object('apply_to_open', a.apply));
END $$;
COMMENT ON FUNCTION api_preview_policy(jsonb) IS 'What a new policy or version would do to open follow-ups; nothing is changed.';

GRANT EXECUTE ON FUNCTION policy_asked, policy_answer, api_list_policies, api_get_policy, api_add_policy, api_change_policy, api_end_policy,
    api_preview_policy TO ringback_console;
