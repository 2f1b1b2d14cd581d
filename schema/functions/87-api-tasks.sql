-- The console's tasks and departments, and what the life of a follow-up adds to its document (83-follow-up-document.sql).

CREATE OR REPLACE FUNCTION task_body(t tasks) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', t.task_id, 'kind', t.kind, 'follow_up', t.follow_up_id,
        'retailer', (SELECT json_build_object('code', r.code, 'name', r.name) FROM retailers r
                     WHERE r.branch_id = t.branch_id AND r.retailer_id = t.retailer_id),
        'assignee', code_of(t.branch_id, t.assignee_id), 'text', t.text, 'scores', t.scores, 'created_at', t.created_at,
        'due_at', t.due_at, 'done_at', t.done_at, 'done_by', code_of(t.branch_id, t.done_by_id), 'note', t.note)
$$;
COMMENT ON FUNCTION task_body(tasks) IS 'A task as the console shows it.';

CREATE OR REPLACE FUNCTION api_list_tasks(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after jsonb := asked_cursor(p, 2);
    v_state text := coalesce(asked_one(p, 'state', '{open,done,any}'), 'open');
    v_code text := asked_text(p, 'assignee');
    v_due timestamptz := asked_time(p, 'due_before');
    v_assignee integer;
    v_items json[];
    v_keys jsonb[];
BEGIN
    IF v_code IS NOT NULL THEN
        SELECT person_id INTO v_assignee FROM people WHERE branch_id = asker_branch() AND code = v_code;
        IF NOT FOUND THEN
            PERFORM refuse(400, 'bad-request', 'assignee is the code of somebody of this branch');
        END IF;
    END IF;
    SELECT array_agg(task_body(q) ORDER BY q.due_at, q.task_id), array_agg(jsonb_build_array(q.due_at, q.task_id) ORDER BY q.due_at, q.task_id)
        INTO v_items, v_keys
    FROM (SELECT t.* FROM tasks t
          WHERE t.branch_id = asker_branch() AND (v_state = 'any' OR (t.done_at IS NULL) = (v_state = 'open'))
            AND (v_assignee IS NULL OR t.assignee_id = v_assignee) AND (v_due IS NULL OR t.due_at < v_due)
            AND (v_after IS NULL OR (t.due_at, t.task_id) > (cursor_time(v_after, 0), cursor_number(v_after, 1)))
          ORDER BY t.due_at, t.task_id LIMIT v_limit + 1) q;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_tasks(jsonb) IS 'Tasks by their time: filters state, assignee, due_before.';

CREATE OR REPLACE FUNCTION api_finish_task(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := asked_id(p, 'task');
    t tasks;
BEGIN
    IF NOT EXISTS (SELECT FROM tasks WHERE branch_id = asker_branch() AND task_id = v_id) THEN
        PERFORM found_nothing('task');
    END IF;
    p := said_members(p, '{note}');
    PERFORM finish_task(v_id, said_text(p, 'note', 4000, false));
    SELECT * INTO t FROM tasks WHERE branch_id = asker_branch() AND task_id = v_id;
    RETURN answer_json(task_body(t));
END $$;
COMMENT ON FUNCTION api_finish_task(jsonb) IS 'A task is done.';

CREATE OR REPLACE FUNCTION department_body(d departments) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('code', d.code, 'zh', d.zh, 'en', d.en, 'person', code_of(d.branch_id, d.person_id), 'retired_at', d.retired_at)
$$;
COMMENT ON FUNCTION department_body(departments) IS 'A department as the console shows it.';

CREATE OR REPLACE FUNCTION api_list_departments(p jsonb) RETURNS answer LANGUAGE sql STABLE AS $$
    SELECT answer_json(json_build_object('items', coalesce(json_agg(department_body(d) ORDER BY d.code), '[]'), 'next', NULL))
    FROM departments d WHERE d.branch_id = asker_branch()
$$;
COMMENT ON FUNCTION api_list_departments(jsonb) IS 'All departments: a branch has a handful.';

CREATE OR REPLACE FUNCTION api_put_department(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    d departments;
BEGIN
    IF p #>> '{path,code}' !~ '^[a-z0-9][a-z0-9-]{0,39}$' THEN
        PERFORM refuse(422, 'invalid-data', 'a department''s code is 1 to 40 of a to z, 0 to 9 and "-"');
    END IF;
    PERFORM check_members(p, '{zh,en,person,retired}');
    d := put_department(p || jsonb_build_object('body', jsonb_strip_nulls(jsonb_build_object('zh', said_text(p, 'zh', 100),
        'en', said_text(p, 'en', 100), 'person', said_text(p, 'person', 100, false), 'retired', said_flag(p, 'retired', false)))));
    RETURN answer_json(department_body(d), 200, d.revision::text);
END $$;
COMMENT ON FUNCTION api_put_department(jsonb) IS 'Makes or changes a department.';

CREATE OR REPLACE FUNCTION follow_up_life_document(p_follow_up bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_branch integer := asker_branch();
BEGIN
    RETURN jsonb_build_object(
        'requests', (SELECT coalesce(jsonb_agg(request_body(q)::jsonb ORDER BY q.number), '[]') FROM follow_up_requests q
                     WHERE q.branch_id = v_branch AND q.follow_up_id = p_follow_up),
        'visits', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', v.at, 'by', code_of(v.branch_id, v.by_person_id), 'round', v.round,
                'how', v.how, 'call', v.call, 'satisfied', v.satisfied, 'reliability', v.reliability, 'assurance', v.assurance,
                'tangibles', v.tangibles, 'empathy', v.empathy, 'responsiveness', v.responsiveness, 'good', v.good, 'bad', v.bad)
                ORDER BY v.visit_id), '[]') FROM return_visits v WHERE v.branch_id = v_branch AND v.follow_up_id = p_follow_up),
        'tasks', (SELECT coalesce(jsonb_agg(task_body(t)::jsonb ORDER BY t.task_id), '[]') FROM tasks t
                  WHERE t.branch_id = v_branch AND t.follow_up_id = p_follow_up),
        'notes', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', h.at, 'by', code_of(h.branch_id, h.by_person_id),
                'text', h.details ->> 'text') ORDER BY h.history_id), '[]') FROM follow_up_history h
                  WHERE h.branch_id = v_branch AND h.follow_up_id = p_follow_up AND h.kind = 'note'),
        'merged', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', g.follow_up_id, 'complaint', g.complaint::text, 'raised_at', g.raised_at,
                'closed_at', g.closed_at) ORDER BY g.follow_up_id), '[]') FROM follow_ups g
                   WHERE g.branch_id = v_branch AND g.merged_into = p_follow_up),
        'stands_for_it', (SELECT jsonb_build_object('id', g.follow_up_id, 'complaint', g.complaint::text, 'state', g.state,
                'owner', code_of(g.branch_id, g.owner_id), 'due_at', g.due_at, 'proof', g.proof, 'contacted_at', g.contacted_at,
                'resolved_at', g.resolved_at, 'resolution', g.resolution, 'satisfied', g.satisfied, 'closed_at', g.closed_at)
                FROM follow_ups f JOIN follow_ups g ON g.branch_id = f.branch_id AND g.follow_up_id = f.merged_into
                WHERE f.branch_id = v_branch AND f.follow_up_id = p_follow_up));
END $$;
COMMENT ON FUNCTION follow_up_life_document(bigint) IS
    'What belongs to a follow-up besides its history: requests, return visits, tasks, notes, and what was merged with it.';
GRANT EXECUTE ON FUNCTION task_body, api_list_tasks, api_finish_task, department_body, api_list_departments, api_put_department,
    follow_up_life_document TO ringback_console;
