-- Somebody leaves, or changes his post: everything that waits for him goes to one person, in one transaction. Called by the
-- console (90-api-absences.sql) and by the tool.
--
-- Lock order: the person FOR UPDATE, which waits for every transaction that is giving him something; then retailers, follow-ups,
-- requests with their steps, tasks, by id. Intake that read him as the manager before, and stores after, finds him retired and runs
-- its batch again (36-open-follow-ups.sql).

-- p_by: the person who does it, or null. Gives what was moved, by its kind.
CREATE OR REPLACE FUNCTION hand_over_person(p_branch integer, p_from text, p_to text, p_retire boolean, p_reason text, p_actor text,
                                            p_by integer DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_from people;
    v_to people;
    v_heir integer;
    v_shops integer[];
    v_moved bigint[];
    v_told bigint[];
    v_owner integer[];
    v_requests bigint;
    v_tasks bigint;
    v_deputies bigint;
    v_reports bigint;
BEGIN
    PERFORM FROM people WHERE branch_id = p_branch AND code IN (p_from, p_to) ORDER BY person_id FOR UPDATE;
    SELECT * INTO v_from FROM people WHERE branch_id = p_branch AND code = p_from;
    SELECT * INTO v_to FROM people WHERE branch_id = p_branch AND code = p_to;
    IF v_from.person_id IS NULL THEN
        RAISE EXCEPTION 'there is no person "%"', p_from;
    ELSIF v_to.person_id IS NULL OR v_to.retired_at IS NOT NULL THEN
        RAISE EXCEPTION 'nobody who works here has the code "%"', p_to;
    ELSIF v_to.person_id = v_from.person_id THEN
        RAISE EXCEPTION '% cannot take over from himself', p_from USING HINT = 'name somebody else';
    ELSIF p_retire AND v_from.retired_at IS NOT NULL THEN
        RAISE EXCEPTION '% is retired already', p_from;
    ELSIF v_to.role <> 'account_manager' AND EXISTS (SELECT FROM retailers
            WHERE branch_id = p_branch AND manager_id = v_from.person_id AND retired_at IS NULL) THEN
        RAISE EXCEPTION '% has retailers, and % is no account_manager but %', p_from, p_to, v_to.role
            USING HINT = 'hand over to an account manager';
    END IF;

    WITH locked AS (
        SELECT retailer_id FROM retailers WHERE branch_id = p_branch AND manager_id = v_from.person_id AND retired_at IS NULL
        ORDER BY retailer_id FOR NO KEY UPDATE
    ), moved AS (
        UPDATE retailers r SET manager_id = v_to.person_id, changed_at = now()
            FROM locked l WHERE r.branch_id = p_branch AND r.retailer_id = l.retailer_id RETURNING r.retailer_id
    ), noted AS (
        INSERT INTO retailer_changes (branch_id, retailer_id, changed_by, old_values, new_values)
            SELECT p_branch, m.retailer_id, p_actor, jsonb_build_object('manager', p_from), jsonb_build_object('manager', p_to) FROM moved m
    )
    SELECT coalesce(array_agg(retailer_id), '{}') INTO v_shops FROM moved;

    -- A report of an offence goes to somebody who may see it.
    v_heir := CASE WHEN may_see_report(p_branch, v_to.person_id) THEN v_to.person_id ELSE coalesce(
        (SELECT l.person_id FROM report_line(p_branch, v_from.area_id) l WHERE l.person_id <> v_from.person_id ORDER BY l.height LIMIT 1),
        nullif(duty_supervisor(p_branch), v_from.person_id), v_to.person_id) END;
    WITH locked AS (
        SELECT follow_up_id FROM follow_ups WHERE branch_id = p_branch AND owner_id = v_from.person_id AND state <> 'closed'
        ORDER BY follow_up_id FOR NO KEY UPDATE
    ), moved AS (
        UPDATE follow_ups f SET owner_id = CASE WHEN f.kind = 'report' THEN v_heir ELSE v_to.person_id END,
                                state = CASE f.state WHEN 'acknowledged' THEN 'open' ELSE f.state END
            FROM locked l WHERE f.branch_id = p_branch AND f.follow_up_id = l.follow_up_id
            RETURNING f.follow_up_id, f.owner_id, f.state
    ), noted AS (
        INSERT INTO follow_up_history (branch_id, follow_up_id, kind, by_person_id, details)
            SELECT p_branch, m.follow_up_id, 'handed-over', p_by,
                   jsonb_strip_nulls(jsonb_build_object('from', p_from, 'to', o.code, 'reason', p_reason))
            FROM moved m JOIN people o ON o.branch_id = p_branch AND o.person_id = m.owner_id ORDER BY m.follow_up_id
    )
    SELECT coalesce(array_agg(m.follow_up_id), '{}'), array_agg(m.follow_up_id ORDER BY m.follow_up_id) FILTER (WHERE m.state = 'open'),
           array_agg(m.owner_id ORDER BY m.follow_up_id) FILTER (WHERE m.state = 'open')
        INTO v_moved, v_told, v_owner FROM moved m;
    IF v_told IS NOT NULL THEN
        PERFORM make_notifications(array_fill(p_branch, ARRAY[cardinality(v_told)]), v_told, array_fill('assigned'::text, ARRAY[cardinality(v_told)]),
                                   array_fill('assigned'::text, ARRAY[cardinality(v_told)]), v_owner);
    END IF;

    WITH moved AS (
        UPDATE follow_up_requests SET asked_id = v_to.person_id
            WHERE branch_id = p_branch AND asked_id = v_from.person_id AND answered_at IS NULL AND withdrawn_at IS NULL RETURNING follow_up_id, number
    ), steps AS (
        UPDATE follow_up_steps s SET person_id = v_to.person_id FROM moved m
            WHERE s.branch_id = p_branch AND s.follow_up_id = m.follow_up_id AND s.step = 'request-' || m.number AND s.fired_at IS NULL
    )
    SELECT count(*) INTO v_requests FROM moved;
    UPDATE tasks SET assignee_id = CASE WHEN report THEN v_heir ELSE v_to.person_id END
        WHERE branch_id = p_branch AND assignee_id = v_from.person_id AND done_at IS NULL;
    GET DIAGNOSTICS v_tasks = ROW_COUNT;

    UPDATE people SET deputy_id = nullif(v_to.person_id, person_id) WHERE branch_id = p_branch AND deputy_id = v_from.person_id;
    GET DIAGNOSTICS v_deputies = ROW_COUNT;
    UPDATE absences SET deputy_id = nullif(v_to.person_id, person_id)
        WHERE branch_id = p_branch AND deputy_id = v_from.person_id AND ends_at > now() AND cancelled_at IS NULL;
    -- Who comes after him reports to whom he did, if he was below him: the line never goes in a circle.
    IF EXISTS (SELECT FROM line_of(p_branch, v_to.person_id) l WHERE l.person_id = v_from.person_id AND l.height < 1000) THEN
        UPDATE people SET reports_to_id = v_from.reports_to_id WHERE branch_id = p_branch AND person_id = v_to.person_id;
    END IF;
    UPDATE people SET reports_to_id = v_to.person_id
        WHERE branch_id = p_branch AND reports_to_id = v_from.person_id AND person_id <> v_to.person_id;
    GET DIAGNOSTICS v_reports = ROW_COUNT;
    UPDATE departments SET person_id = v_to.person_id, revision = revision + 1 WHERE branch_id = p_branch AND person_id = v_from.person_id;
    UPDATE branches SET duty_supervisor_id = CASE WHEN v_to.role = 'supervisor' THEN v_to.person_id END
        WHERE branch_id = p_branch AND duty_supervisor_id = v_from.person_id;

    PERFORM write_audit(p_branch, p_actor, 'person-hand-over', p_from, jsonb_strip_nulls(jsonb_build_object('to', p_to, 'reason', p_reason,
        'retailers', cardinality(v_shops), 'follow_ups', cardinality(v_moved), 'requests', v_requests, 'tasks', v_tasks,
        'deputy_of', v_deputies, 'people', v_reports)));
    IF p_retire THEN
        PERFORM retire_person(p_branch, p_from, p_actor);
    END IF;
    RETURN jsonb_build_object('from', p_from, 'to', p_to, 'retired', p_retire, 'retailers', cardinality(v_shops),
        'follow_ups', cardinality(v_moved), 'requests', v_requests, 'tasks', v_tasks, 'deputy_of', v_deputies, 'people', v_reports);
END $$;
COMMENT ON FUNCTION hand_over_person(integer, text, text, boolean, text, text, integer) IS
    'Gives everything that waits for one person to another: retailers, follow-ups, requests, tasks, whose deputy and superior he is; and retires him if asked to.';
