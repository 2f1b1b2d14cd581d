-- Two-person closure: return visits, what they do to the follow-up, and the tasks that low scores become. Called by the
-- console's operations. Lock order: the follow-up, then its tasks.

CREATE OR REPLACE FUNCTION task_time() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT interval '3 days' $$;
COMMENT ON FUNCTION task_time() IS 'Within this a task is to be done.';

CREATE OR REPLACE FUNCTION task_assignee(f follow_ups) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN f.kind = 'report' AND NOT may_see_report(f.branch_id, m.person)
                THEN (SELECT person_id FROM report_line(f.branch_id, f.area_id) ORDER BY height LIMIT 1) ELSE m.person END
    FROM (SELECT market_manager_of(f.branch_id, f.owner_id, f.retailer_id) AS person) m
$$;
COMMENT ON FUNCTION task_assignee(follow_ups) IS 'The market manager of its owner, for a report somebody who may see it.';

-- Scores of 1 and 2 of one visit are one task: one talk with the retailer's manager.
CREATE OR REPLACE FUNCTION make_task(f follow_ups, v return_visits) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_scores jsonb;
BEGIN
    SELECT jsonb_object_agg(s.name, s.score ORDER BY s.n) INTO v_scores
    FROM (VALUES (1, 'reliability', v.reliability), (2, 'assurance', v.assurance), (3, 'tangibles', v.tangibles),
                 (4, 'empathy', v.empathy), (5, 'responsiveness', v.responsiveness)) s (n, name, score)
    WHERE s.score <= 2;
    IF v_scores IS NOT NULL THEN
        INSERT INTO tasks (branch_id, kind, follow_up_id, visit_id, retailer_id, assignee_id, report, text, scores, due_at)
        SELECT f.branch_id, 'low-score', f.follow_up_id, v.visit_id, f.retailer_id, task_assignee(f), f.kind = 'report',
               (SELECT string_agg(key || ' ' || value, ', ' ORDER BY key) FROM jsonb_each_text(v_scores)) || coalesce(': ' || v.bad, ''),
               v_scores, now() + task_time();
    END IF;
END $$;
COMMENT ON FUNCTION make_task(follow_ups, return_visits) IS 'A task for a return visit''s low scores, if it has any.';

-- Body: satisfied, the five scores, good, bad, how, call, checked by the caller.
CREATE OR REPLACE FUNCTION visit_retailer(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p);
    v return_visits;
BEGIN
    IF f.state NOT IN ('resolved', 'verified', 'closed') THEN
        PERFORM refuse(409, 'illegal-move', format('a follow-up that is %s has nothing to ask the retailer about yet: a return visit comes after it '
            'is resolved; from %1$s it can become %s', f.state, array_to_string(array_remove(moves_from(f.state), 'closed'), ', ')));
    END IF;
    PERFORM check_other_person(f, v_by);
    v := jsonb_populate_record(NULL::return_visits, p -> 'body');
    IF v.satisfied AND EXISTS (SELECT FROM return_visits w WHERE w.branch_id = f.branch_id AND w.follow_up_id = f.follow_up_id
                               AND w.round = f.reopened AND w.by_person_id = v_by AND w.satisfied) THEN
        PERFORM refuse(409, 'illegal-move', format('you made this return visit already, and it is %s; what is new is a note, or reopens it', f.state));
    END IF;
    INSERT INTO return_visits (branch_id, follow_up_id, by_person_id, round, how, call, satisfied, reliability, assurance, tangibles,
                               empathy, responsiveness, good, bad)
        VALUES (f.branch_id, f.follow_up_id, v_by, f.reopened, v.how, v.call, v.satisfied, v.reliability, v.assurance, v.tangibles,
                v.empathy, v.responsiveness, v.good, v.bad) RETURNING * INTO v;
    UPDATE follow_ups SET satisfied = v.satisfied WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    PERFORM note_history(f.branch_id, f.follow_up_id, 'visited', v_by, (p -> 'body') || jsonb_build_object('visit', v.visit_id)),
            make_task(f, v);
    IF NOT v.satisfied THEN
        PERFORM check_reopening(f),
                begin_again(f, v_by, jsonb_build_object('because', 'dissatisfied', 'visit', v.visit_id, 'reason', v.bad));
        RETURN;
    END IF;
    -- A supervisor's own visit is his word as well; where one is demanded and somebody else visited, it is waited for.
    IF f.state = 'resolved' AND (asker_role() IN ('supervisor', 'market_manager') OR NOT verification_demanded(f)) THEN
        UPDATE follow_ups SET state = 'verified', verified_at = now(), verified_by_id = v_by
            WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
        PERFORM note_history(f.branch_id, f.follow_up_id, 'verified', v_by, jsonb_build_object('visit', v.visit_id)),
                finish_follow_up(f, v_by, '{"because": "satisfied"}');
    ELSIF f.state = 'verified' THEN
        PERFORM finish_follow_up(f, v_by, '{"because": "satisfied"}');
    END IF;
END $$;
COMMENT ON FUNCTION visit_retailer(bigint, jsonb) IS
    'A return visit: satisfied verifies and closes as far as the policy lets it, dissatisfied reopens on the original clock.';

CREATE OR REPLACE FUNCTION finish_task(p_task bigint, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups;
    t tasks;
BEGIN
    SELECT x.* INTO f FROM tasks y JOIN follow_ups x USING (branch_id, follow_up_id)
        WHERE y.branch_id = asker_branch() AND y.task_id = p_task FOR NO KEY UPDATE OF x;
    SELECT * INTO t FROM tasks WHERE branch_id = asker_branch() AND task_id = p_task FOR NO KEY UPDATE;
    IF asker_role() NOT IN ('supervisor', 'administrator') AND NOT coalesce(t.assignee_id = ANY (asker_managers() || v_by), false) THEN
        PERFORM refuse(403, 'not-in-charge', 'this task is somebody else''s');
    ELSIF t.done_at IS NULL THEN
        UPDATE tasks SET done_at = now(), done_by_id = v_by, note = p_note WHERE branch_id = t.branch_id AND task_id = t.task_id;
        PERFORM note_history(t.branch_id, t.follow_up_id, 'task-done', v_by, jsonb_build_object('task', t.task_id, 'note', p_note)),
                touch(f);
    END IF;
END $$;
COMMENT ON FUNCTION finish_task(bigint, text) IS 'A task is done; again changes nothing.';
GRANT EXECUTE ON FUNCTION visit_retailer, finish_task TO ringback_console;
