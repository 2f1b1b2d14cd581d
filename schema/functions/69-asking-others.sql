-- What involves others in a follow-up: hand-over, requests to departments, a time promised to the retailer, notes, and merging
-- repeats. Called by the console's operations. Lock order: follow-ups by id, then requests, then steps.

CREATE OR REPLACE FUNCTION note_follow_up(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p);
BEGIN
    PERFORM note_history(f.branch_id, f.follow_up_id, 'note', v_by, jsonb_build_object('text', p #> '{body,text}')), touch(f);
END $$;
COMMENT ON FUNCTION note_follow_up(bigint, jsonb) IS 'A line in the history of how it goes.';

CREATE OR REPLACE FUNCTION hand_over_follow_up(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p);
    v_to people;
BEGIN
    PERFORM check_charge(f);
    SELECT * INTO v_to FROM people WHERE branch_id = f.branch_id AND code = p #>> '{body,to}' AND retired_at IS NULL;
    IF NOT FOUND THEN
        PERFORM fault('/to', 'nobody who works here has this code');
    ELSIF f.kind = 'report' AND NOT may_see_report(f.branch_id, v_to.person_id) THEN
        PERFORM fault('/to', 'he may not see reports of offences');
    ELSIF f.state = 'closed' THEN
        PERFORM refuse(409, 'illegal-move', 'a follow-up that is closed is handed to nobody; from closed it can become open');
    ELSIF v_to.person_id = f.owner_id THEN
        RETURN; -- again: it is his
    END IF;
    -- The new owner has acknowledged nothing yet.
    UPDATE follow_ups SET owner_id = v_to.person_id, state = CASE state WHEN 'acknowledged' THEN 'open' ELSE state END
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    PERFORM note_history(f.branch_id, f.follow_up_id, 'handed-over', v_by, jsonb_build_object('from', code_of(f.branch_id, f.owner_id),
                         'to', v_to.code, 'reason', p #> '{body,reason}')),
            tell(f, 'assigned', 'assigned', v_to.person_id);
END $$;
COMMENT ON FUNCTION hand_over_follow_up(bigint, jsonb) IS 'Another owner, on the same clock.';

-- Steps that remind: half an hour before a promised time and at it. An earlier promise is over, history keeps it.
CREATE OR REPLACE FUNCTION promise_time(f follow_ups, p_by integer, p_at timestamptz, p_note text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_step text := 'promise-' || 1 + (SELECT count(*) FROM follow_up_history h WHERE h.branch_id = f.branch_id
                                      AND h.follow_up_id = f.follow_up_id AND h.kind = 'promised');
BEGIN
    UPDATE follow_ups SET promised_at = p_at WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    UPDATE follow_up_steps SET fired_at = now(), skipped = 'replaced'
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id AND action = 'promised' AND fired_at IS NULL;
    INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, due_at)
        SELECT f.branch_id, f.follow_up_id, s.step, 'promised', 'owner', s.due_at
        FROM (VALUES (v_step || '-soon', p_at - interval '30 minutes'), (v_step, p_at)) s (step, due_at) WHERE s.due_at > now();
    PERFORM note_history(f.branch_id, f.follow_up_id, 'promised', p_by, jsonb_build_object('at', p_at, 'note', p_note));
END $$;
COMMENT ON FUNCTION promise_time(follow_ups, integer, timestamptz, text) IS 'What the retailer was told as to when, with its steps.';

CREATE OR REPLACE FUNCTION promise_follow_up(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p);
BEGIN
    IF f.state NOT IN ('open', 'acknowledged', 'contacted') THEN
        PERFORM refuse(409, 'illegal-move', format('a follow-up that is %s has nothing left to promise: reopen it; from %1$s it can become %s',
                                                   f.state, array_to_string(moves_from(f.state), ', ')));
    END IF;
    PERFORM promise_time(f, v_by, (p #>> '{body,at}')::timestamptz, p #>> '{body,note}');
END $$;
COMMENT ON FUNCTION promise_follow_up(bigint, jsonb) IS 'A time was promised to the retailer; the deadline stays what it is.';

-- Body: department or person, text, due_at, checked by the caller but for what must be looked up.
CREATE OR REPLACE FUNCTION ask_department(p_id bigint, p jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    b jsonb := p -> 'body';
    f follow_ups := lock_follow_up(p_id, p);
    v_asked people;
    v_department departments;
    v_number integer;
BEGIN
    PERFORM check_charge(f);
    IF f.state = 'closed' THEN
        PERFORM refuse(409, 'illegal-move', 'a follow-up that is closed needs nobody any more; from closed it can become open');
    ELSIF b ->> 'department' IS NOT NULL THEN
        SELECT * INTO v_department FROM departments WHERE branch_id = f.branch_id AND code = b ->> 'department' AND retired_at IS NULL;
        IF NOT FOUND THEN
            PERFORM fault('/department', 'there is no such department: GET /api/v1/departments lists them');
        END IF;
    END IF;
    SELECT * INTO v_asked FROM people p WHERE p.branch_id = f.branch_id AND p.retired_at IS NULL
        AND CASE WHEN v_department.code IS NULL THEN p.code = b ->> 'person' ELSE p.person_id = v_department.person_id END;
    IF NOT FOUND AND v_department.code IS NOT NULL THEN
        SELECT * INTO v_asked FROM people p WHERE p.branch_id = f.branch_id AND p.person_id = duty_supervisor(f.branch_id);
    END IF;
    IF v_asked.person_id IS NULL THEN
        PERFORM fault(CASE WHEN v_department.code IS NULL THEN '/person' ELSE '/department' END,
                      CASE WHEN v_department.code IS NULL THEN 'nobody who works here has this code' ELSE 'nobody answers for this department' END);
    ELSIF v_asked.person_id = f.owner_id THEN
        PERFORM fault(CASE WHEN v_department.code IS NULL THEN '/person' ELSE '/department' END,
                      format('%s, who would be asked, owns this follow-up himself', v_asked.code));
    ELSIF f.kind = 'report' AND NOT may_see_report(f.branch_id, v_asked.person_id) THEN
        PERFORM fault(CASE WHEN v_department.code IS NULL THEN '/person' ELSE '/department' END,
                      format('%s, who would be asked, may not see reports of offences', v_asked.code));
    END IF;
    SELECT coalesce(max(number), 0) + 1 INTO v_number FROM follow_up_requests
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    INSERT INTO follow_up_requests (branch_id, follow_up_id, number, department, asked_id, asked_by_id, text, due_at)
        VALUES (f.branch_id, f.follow_up_id, v_number, v_department.code, v_asked.person_id, v_by, b ->> 'text', (b ->> 'due_at')::timestamptz);
    INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, person_id, due_at) VALUES
        (f.branch_id, f.follow_up_id, 'request-' || v_number, 'request', 'requested', v_asked.person_id, (b ->> 'due_at')::timestamptz),
        (f.branch_id, f.follow_up_id, 'request-' || v_number || '-late', 'request', 'owner', NULL,
         (b ->> 'due_at')::timestamptz + interval '1 hour');
    PERFORM note_history(f.branch_id, f.follow_up_id, 'requested', v_by, jsonb_build_object('number', v_number, 'department', v_department.code,
                         'person', v_asked.code, 'text', b ->> 'text', 'due_at', b ->> 'due_at')),
            tell(f, 'assigned', 'request-' || v_number, v_asked.person_id), touch(f);
    RETURN v_number;
END $$;
COMMENT ON FUNCTION ask_department(bigint, jsonb) IS
    'Asks a department or a person for something by a time of its own; gives the request''s number. The owner and his clock stay.';

CREATE OR REPLACE FUNCTION request_body(q follow_up_requests) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('number', q.number, 'department', q.department, 'person', code_of(q.branch_id, q.asked_id),
        'by', code_of(q.branch_id, q.asked_by_id), 'text', q.text, 'asked_at', q.asked_at, 'due_at', q.due_at,
        'answered_at', q.answered_at, 'answered_by', code_of(q.branch_id, q.answered_by_id), 'answer', q.answer,
        'withdrawn_at', q.withdrawn_at)
$$;
GRANT EXECUTE ON FUNCTION code_of, request_body TO ringback_console;
COMMENT ON FUNCTION request_body(follow_up_requests) IS 'A request as the console shows it.';

-- Gives the request: who was asked no longer sees the follow-up once he has answered.
CREATE OR REPLACE FUNCTION answer_request(p_id bigint, p_number integer, p jsonb) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p, true);
    q follow_up_requests;
BEGIN
    SELECT * INTO q FROM follow_up_requests
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id AND number = p_number FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM found_nothing('request');
    ELSIF q.asked_id <> ALL (asker_managers() || v_by) THEN
        PERFORM check_charge(f);
    END IF;
    IF q.answered_at IS NOT NULL OR q.withdrawn_at IS NOT NULL THEN
        PERFORM refuse(409, 'illegal-move', format('this request was %s already', CASE WHEN q.withdrawn_at IS NULL THEN 'answered' ELSE 'withdrawn' END));
    END IF;
    UPDATE follow_up_requests SET answered_at = now(), answered_by_id = v_by, answer = p #>> '{body,answer}'
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id AND number = p_number RETURNING * INTO q;
    UPDATE follow_up_steps SET fired_at = now(), skipped = 'answered'
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id AND fired_at IS NULL
          AND step IN ('request-' || p_number, 'request-' || p_number || '-late');
    PERFORM note_history(f.branch_id, f.follow_up_id, 'answered', v_by, jsonb_build_object('number', p_number, 'answer', q.answer)),
            tell(f, 'reminded', 'request-' || p_number || '-answered', f.owner_id), touch(f);
    RETURN request_body(q);
END $$;
COMMENT ON FUNCTION answer_request(bigint, integer, jsonb) IS 'The answer to a request; the owner hears that it is there.';

-- The one with the earlier deadline stands for both, so that no promise is put off. What is known of the other is known of it:
-- a contact after both were raised, a time promised.
CREATE OR REPLACE FUNCTION merge_follow_up(p_id bigint, p_into bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups;
    t follow_ups;
BEGIN
    PERFORM FROM (SELECT FROM follow_ups WHERE branch_id = asker_branch() AND follow_up_id IN (p_id, p_into)
                  ORDER BY follow_up_id FOR NO KEY UPDATE) x;
    f := lock_follow_up(p_id, p);
    t := lock_follow_up(p_into, '{}');
    IF p_id = p_into THEN
        PERFORM fault('/into', 'this is the follow-up itself');
    END IF;
    IF asker_role() <> 'operator' THEN
        PERFORM check_charge(f), check_charge(t);
    END IF;
    IF f.retailer_id IS DISTINCT FROM t.retailer_id OR f.retailer_id IS NULL THEN
        PERFORM fault('/into', 'only repeats by the same retailer are merged, and both must be known to be his');
    ELSIF (f.kind = 'report') <> (t.kind = 'report') THEN
        PERFORM fault('/into', 'a report of an offence and something else are not merged: not everybody may see reports');
    ELSIF f.state NOT IN ('open', 'acknowledged', 'contacted') THEN
        PERFORM refuse_move(f.state, 'closed', format('only what is still worked on is merged; from %s it can become %s', f.state,
                            array_to_string(array_remove(moves_from(f.state), 'closed'), ', ')));
    ELSIF t.state NOT IN ('open', 'acknowledged', 'contacted') THEN
        PERFORM refuse(409, 'illegal-move', format('%s is %s: reopen it first, then it can stand for this one', t.follow_up_id, t.state));
    ELSIF (t.due_at, t.follow_up_id) > (f.due_at, f.follow_up_id) THEN
        PERFORM refuse(409, 'merge-the-other-way', format('this one is due earlier: merge %s into %s, so that its time is kept',
                                                           t.follow_up_id, f.follow_up_id));
    ELSIF EXISTS (SELECT FROM follow_up_requests q WHERE q.branch_id = f.branch_id AND q.follow_up_id = f.follow_up_id
                  AND q.answered_at IS NULL AND q.withdrawn_at IS NULL) THEN
        PERFORM refuse(409, 'open-requests', 'somebody was asked for something in this one and has not answered: wait for the answer');
    END IF;
    UPDATE follow_ups SET state = 'closed', closed_at = now(), merged_into = t.follow_up_id
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    UPDATE follow_ups SET merged_into = t.follow_up_id WHERE branch_id = f.branch_id AND merged_into = f.follow_up_id;
    PERFORM note_history(f.branch_id, f.follow_up_id, 'merged', v_by, jsonb_build_object('into', t.follow_up_id)),
            note_history(t.branch_id, t.follow_up_id, 'took-in', v_by, jsonb_build_object('follow_up', f.follow_up_id, 'complaint', f.complaint::text)),
            tell(f, 'closed', 'merged', f.owner_id);
    IF t.owner_id IS DISTINCT FROM f.owner_id THEN
        PERFORM tell(t, 'reminded', 'repeat', t.owner_id);
    END IF;
    IF f.state = 'contacted' AND t.state <> 'contacted' AND f.contacted_at >= t.raised_at THEN
        UPDATE follow_ups SET state = 'contacted', proof = f.proof, proof_call = f.proof_call, contacted_at = f.contacted_at,
                              contacted_by_id = f.contacted_by_id WHERE branch_id = t.branch_id AND follow_up_id = t.follow_up_id;
        PERFORM note_history(t.branch_id, t.follow_up_id, 'contacted', f.contacted_by_id,
                             jsonb_build_object('proof', f.proof, 'call', f.proof_call, 'at', f.contacted_at, 'known_from', f.follow_up_id));
    ELSIF f.promised_at > now() AND (t.promised_at IS NULL OR t.promised_at NOT BETWEEN now() AND f.promised_at) THEN
        PERFORM promise_time(t, v_by, f.promised_at, NULL);
    ELSE
        PERFORM touch(t);
    END IF;
END $$;
COMMENT ON FUNCTION merge_follow_up(bigint, bigint, jsonb) IS 'A repeat by the same retailer about the same thing: the other one stands for it.';

CREATE OR REPLACE FUNCTION put_department(p jsonb) RETURNS departments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    b jsonb := p -> 'body';
    v_person integer;
    d departments;
BEGIN
    IF b ->> 'person' IS NOT NULL THEN
        SELECT person_id INTO v_person FROM people WHERE branch_id = asker_branch() AND code = b ->> 'person' AND retired_at IS NULL;
        IF NOT FOUND THEN
            PERFORM fault('/person', 'nobody who works here has this code');
        END IF;
    END IF;
    SELECT * INTO d FROM departments WHERE branch_id = asker_branch() AND code = p #>> '{path,code}' FOR NO KEY UPDATE;
    IF p ->> 'if_match' IS NOT NULL THEN
        PERFORM check_match(p, coalesce(d.revision::text, 'none'));
    END IF;
    INSERT INTO departments AS x (branch_id, code, zh, en, person_id, retired_at)
        VALUES (asker_branch(), p #>> '{path,code}', b ->> 'zh', b ->> 'en', v_person, CASE WHEN (b ->> 'retired')::boolean THEN now() END)
        ON CONFLICT (branch_id, code) DO UPDATE SET zh = excluded.zh, en = excluded.en, person_id = excluded.person_id,
            retired_at = CASE WHEN excluded.retired_at IS NOT NULL THEN coalesce(x.retired_at, excluded.retired_at) END, revision = x.revision + 1
        RETURNING * INTO d;
    PERFORM write_audit(asker_branch(), asker_actor(), 'department-put', d.code, b);
    RETURN d;
END $$;
COMMENT ON FUNCTION put_department(jsonb) IS 'Makes a department or says anew what it is called and who answers for it.';
GRANT EXECUTE ON FUNCTION note_follow_up, hand_over_follow_up, promise_follow_up, ask_department, answer_request, merge_follow_up,
    put_department TO ringback_console;
