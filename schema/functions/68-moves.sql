-- The moves of a follow-up that people make: acknowledged, resolved, verified, closed, reopened. Called by the console's
-- operations (86-api-moves.sql) after row-level security found the follow-up; who asks is in the settings of the transaction.
-- Each is one transaction with its line of history; what is told to whom is made in it too. Being contacted is not here: a
-- call proves it (42-take-calls.sql) or somebody records it.

CREATE OR REPLACE FUNCTION reopening_time() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT interval '30 days' $$;
COMMENT ON FUNCTION reopening_time() IS 'So long after it was closed a follow-up can be reopened; later it is a new complaint.';

CREATE OR REPLACE FUNCTION mover() RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF asker_person() IS NULL THEN
        PERFORM refuse(403, 'no-person', 'this account is nobody''s: what happens to a follow-up is written down with who did it, '
            'so log in with the account of a person');
    END IF;
    RETURN asker_person();
END $$;
COMMENT ON FUNCTION mover() IS 'The person who asks; refuses an account without one.';

-- p_merged: whether one that was merged into another may be moved.
CREATE OR REPLACE FUNCTION lock_follow_up(p_id bigint, p jsonb, p_merged boolean DEFAULT false) RETURNS follow_ups
LANGUAGE plpgsql AS $$
DECLARE
    f follow_ups;
BEGIN
    SELECT * INTO f FROM follow_ups WHERE branch_id = asker_branch() AND follow_up_id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM found_nothing('follow-up');
    END IF;
    IF p ->> 'if_match' IS NOT NULL THEN
        PERFORM check_match(p, f.revision::text);
    END IF;
    IF f.merged_into IS NOT NULL AND NOT p_merged THEN
        PERFORM refuse(409, 'illegal-move', format('this follow-up was merged into %1$s, which stands for it: work on %1$s, or reopen this one '
            'to take it out again', f.merged_into));
    END IF;
    RETURN f;
END $$;
COMMENT ON FUNCTION lock_follow_up(bigint, jsonb, boolean) IS
    'The follow-up to be moved, locked until the move is committed; refuses another version than If-Match names, if it does.';

CREATE OR REPLACE FUNCTION check_charge(f follow_ups) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF f.owner_id = ANY (asker_managers() || asker_person()) OR may_acknowledge(f, asker_person()) THEN
        RETURN;
    END IF;
    PERFORM refuse(403, 'not-in-charge', format('%s owns this follow-up: this is for him, his deputy, his market manager or a supervisor',
        coalesce((SELECT code FROM people WHERE branch_id = f.branch_id AND person_id = f.owner_id), 'nobody')));
END $$;
COMMENT ON FUNCTION check_charge(follow_ups) IS
    'Refuses (403 not-in-charge) who sees a follow-up but is neither its owner, his deputy, up his line, nor a supervisor; '
    'of a report who may not see reports.';

CREATE OR REPLACE FUNCTION check_move(f follow_ups, p_to text) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_to <> ALL (moves_from(f.state)) THEN
        PERFORM refuse_move(f.state, p_to);
    END IF;
END $$;
COMMENT ON FUNCTION check_move(follow_ups, text) IS 'Refuses a state that cannot be reached from here, the present one included.';

CREATE OR REPLACE FUNCTION check_other_person(f follow_ups, p_person integer) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_person = f.resolved_by_id THEN
        PERFORM refuse(409, 'another-person', 'you resolved this yourself: somebody else makes the return visit and verifies it');
    END IF;
END $$;
COMMENT ON FUNCTION check_other_person(follow_ups, integer) IS 'Two-person closure: refuses (409 another-person) who resolved it.';

CREATE OR REPLACE FUNCTION code_of(p_branch integer, p_person integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT code FROM people WHERE branch_id = p_branch AND person_id = p_person
$$;
COMMENT ON FUNCTION code_of(integer, integer) IS 'A person''s code; null is nobody.';

CREATE OR REPLACE FUNCTION tell(f follow_ups, p_type text, p_step text, p_person integer) RETURNS void LANGUAGE sql AS $$
    SELECT make_notifications(ARRAY[f.branch_id], ARRAY[f.follow_up_id], ARRAY[p_type], ARRAY[p_step],
                              ARRAY[coalesce(p_person, duty_supervisor(f.branch_id))])
$$;
COMMENT ON FUNCTION tell(follow_ups, text, text, integer) IS 'One notification of a move; of what has no owner, to the duty supervisor.';

CREATE OR REPLACE FUNCTION touch(f follow_ups) RETURNS void LANGUAGE sql AS $$
    UPDATE follow_ups SET revision = revision WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id
$$;
COMMENT ON FUNCTION touch(follow_ups) IS 'Another revision of a follow-up of which only what belongs to it changed: the guard counts it.';

-- A time promised before the retailer was reached is kept by reaching him; any is over when it is resolved.
CREATE OR REPLACE FUNCTION keep_promise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE follow_up_steps SET fired_at = now(), skipped = 'kept'
        WHERE branch_id = NEW.branch_id AND follow_up_id = NEW.follow_up_id AND action = 'promised' AND fired_at IS NULL;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION keep_promise() IS 'Skips the steps of a promised time when what was promised is done.';
CREATE OR REPLACE TRIGGER keep_promise AFTER UPDATE ON follow_ups FOR EACH ROW
    WHEN (NEW.state <> OLD.state AND NEW.state IN ('contacted', 'resolved') AND NEW.promised_at IS NOT NULL)
    EXECUTE FUNCTION keep_promise();

CREATE OR REPLACE FUNCTION acknowledge_follow_up(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p);
BEGIN
    PERFORM check_charge(f);
    IF f.state IN ('acknowledged', 'contacted') THEN
        RETURN; -- again, or overtaken by the call: what was asked for is so
    END IF;
    PERFORM check_move(f, 'acknowledged');
    UPDATE follow_ups SET state = 'acknowledged', acknowledged_at = coalesce(acknowledged_at, now()),
                          acknowledged_by_id = coalesce(acknowledged_by_id, v_by)
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    PERFORM note_history(f.branch_id, f.follow_up_id, 'acknowledged', v_by);
END $$;
COMMENT ON FUNCTION acknowledge_follow_up(bigint, jsonb) IS 'Its owner knows of it. Again changes nothing.';

-- Body: resolution, valid, thanks, root_cause, corrective_action, checked by the caller.
CREATE OR REPLACE FUNCTION resolve_follow_up(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    b jsonb := p -> 'body';
    f follow_ups := lock_follow_up(p_id, p);
BEGIN
    PERFORM check_charge(f), check_move(f, 'resolved');
    UPDATE follow_ups SET state = 'resolved', resolved_at = now(), resolved_by_id = v_by, resolution = b ->> 'resolution',
                          valid = (b ->> 'valid')::boolean, thanks = (b ->> 'thanks')::boolean, root_cause = b ->> 'root_cause',
                          corrective_action = b ->> 'corrective_action', satisfied = NULL
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    PERFORM note_history(f.branch_id, f.follow_up_id, 'resolved', v_by, b);
END $$;
COMMENT ON FUNCTION resolve_follow_up(bigint, jsonb) IS 'What was done for the retailer; from here on somebody else has to agree.';

-- Closed: nothing that was asked of others is waited for any more, and the owner hears of it.
CREATE OR REPLACE FUNCTION finish_follow_up(f follow_ups, p_by integer, p_details jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE follow_up_requests SET withdrawn_at = now()
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id AND answered_at IS NULL AND withdrawn_at IS NULL;
    UPDATE follow_up_steps SET fired_at = now(), skipped = 'closed'
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id AND action = 'request' AND fired_at IS NULL;
    UPDATE follow_ups SET state = 'closed', closed_at = now() WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    PERFORM note_history(f.branch_id, f.follow_up_id, 'closed', p_by, p_details), tell(f, 'closed', 'closed', f.owner_id);
END $$;
COMMENT ON FUNCTION finish_follow_up(follow_ups, integer, jsonb) IS 'Closes a follow-up that was verified.';

CREATE OR REPLACE FUNCTION verification_demanded(f follow_ups) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT coalesce(f.severity, 1) >= p.verify_severity FROM policies p
                     WHERE p.branch_id = f.branch_id AND p.policy_id = f.policy_id), false)
$$;
COMMENT ON FUNCTION verification_demanded(follow_ups) IS
    'Whether its policy wants a supervisor''s word: 3 is the gravest severity, and without one it is of the least.';

CREATE OR REPLACE FUNCTION verify_follow_up(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p);
BEGIN
    PERFORM check_charge(f), check_move(f, 'verified'), check_other_person(f, v_by);
    UPDATE follow_ups SET state = 'verified', verified_at = now(), verified_by_id = v_by
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    PERFORM note_history(f.branch_id, f.follow_up_id, 'verified', v_by, jsonb_build_object('note', p #> '{body,note}'));
    IF f.satisfied THEN
        PERFORM finish_follow_up(f, v_by, '{"because": "satisfied"}');
    END IF;
END $$;
COMMENT ON FUNCTION verify_follow_up(bigint, jsonb) IS 'A second person agrees that it is resolved; with a satisfied return visit it is closed.';

CREATE OR REPLACE FUNCTION close_follow_up(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p);
BEGIN
    PERFORM check_charge(f);
    IF f.state <> 'verified' THEN
        PERFORM refuse_move(f.state, 'closed', CASE f.state
            WHEN 'resolved' THEN 'it takes a return visit that finds the retailer satisfied, or somebody else who verifies it'
            WHEN 'closed' THEN 'it is closed already'
            ELSE format('from %s it can become %s', f.state, array_to_string(array_remove(moves_from(f.state), 'closed'), ', ')) END);
    END IF;
    PERFORM finish_follow_up(f, v_by, jsonb_build_object('because', 'no-return-visit', 'reason', p #> '{body,reason}'));
END $$;
COMMENT ON FUNCTION close_follow_up(bigint, jsonb) IS 'Closes what was verified when no return visit can be made, with the reason why not.';

-- On the same clock. What is ahead on the ladder is still to come; of what is past for lateness the latest is done at once, as for
-- a complaint that arrives late: as a step of its own, so that what was fired before stays on record.
CREATE OR REPLACE FUNCTION rearm_ladder(f follow_ups, p_round integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s follow_up_steps;
    v_step text;
BEGIN
    SELECT * INTO s FROM follow_up_steps
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id AND action IN ('overdue', 'escalated') AND due_at <= now()
        ORDER BY due_at DESC, step DESC LIMIT 1;
    UPDATE follow_up_steps SET fired_at = now(), skipped = 'late'
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id AND action IN ('reminded', 'overdue', 'escalated')
          AND due_at <= now() AND fired_at IS NULL AND step IS DISTINCT FROM s.step;
    IF s.step IS NULL OR s.fired_at IS NULL THEN
        RETURN; -- in time still, or the clock is about to do it
    END IF;
    v_step := regexp_replace(s.step, '-again-[0-9]+$', '') || '-again-' || p_round;
    INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, channels, due_at)
        VALUES (s.branch_id, s.follow_up_id, v_step, s.action, s.whom, s.channels, now());
    PERFORM fire_steps(ARRAY[s.branch_id], ARRAY[s.follow_up_id], ARRAY[v_step], ARRAY[s.action], ARRAY[s.whom],
                       ARRAY[s.channels::text]);
END $$;
COMMENT ON FUNCTION rearm_ladder(follow_ups, integer) IS 'A reopened follow-up whose deadline has passed goes up the line at once.';

CREATE OR REPLACE FUNCTION begin_again(f follow_ups, p_by integer, p_details jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE follow_ups SET state = 'open', reopened = reopened + 1, proof = NULL, proof_call = NULL, contacted_at = NULL,
            contacted_by_id = NULL, resolved_at = NULL, resolved_by_id = NULL, resolution = NULL, valid = NULL, thanks = NULL,
            root_cause = NULL, corrective_action = NULL, verified_at = NULL, verified_by_id = NULL, closed_at = NULL,
            merged_into = NULL
        WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    PERFORM note_history(f.branch_id, f.follow_up_id, 'reopened', p_by, p_details || jsonb_build_object('was', jsonb_strip_nulls(
        jsonb_build_object('state', f.state, 'proof', f.proof, 'proof_call', f.proof_call, 'contacted_at', f.contacted_at,
            'contacted_by', code_of(f.branch_id, f.contacted_by_id), 'resolved_at', f.resolved_at,
            'resolved_by', code_of(f.branch_id, f.resolved_by_id), 'resolution', f.resolution, 'valid', f.valid, 'thanks', f.thanks,
            'root_cause', f.root_cause, 'corrective_action', f.corrective_action, 'verified_at', f.verified_at,
            'verified_by', code_of(f.branch_id, f.verified_by_id), 'closed_at', f.closed_at, 'merged_into', f.merged_into))));
    PERFORM tell(f, 'reopened', 'reopened', f.owner_id), rearm_ladder(f, f.reopened + 1);
END $$;
COMMENT ON FUNCTION begin_again(follow_ups, integer, jsonb) IS
    'Reopens: proof, resolution and verification go into history, the deadline stays, the owner hears of it.';

CREATE OR REPLACE FUNCTION check_reopening(f follow_ups) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF f.state IN ('open', 'acknowledged') THEN
        PERFORM refuse(409, 'illegal-move', format('a follow-up that is %s is still being worked on; from %1$s it can become %s', f.state,
            array_to_string(array_remove(array_remove(moves_from(f.state), 'open'), 'closed'), ', ')));
    ELSIF f.closed_at < now() - reopening_time() THEN
        PERFORM refuse(409, 'too-late', format('it was closed on %s: take a new complaint, which has a time of its own', f.closed_at::date));
    END IF;
END $$;
COMMENT ON FUNCTION check_reopening(follow_ups) IS 'Refuses to reopen what is open, or was closed long ago.';

CREATE OR REPLACE FUNCTION reopen_follow_up(p_id bigint, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_by integer := mover();
    f follow_ups := lock_follow_up(p_id, p, true);
BEGIN
    PERFORM check_reopening(f);
    IF f.merged_into IS NOT NULL THEN
        PERFORM note_history(f.branch_id, f.merged_into, 'split', v_by,
                             jsonb_build_object('follow_up', f.follow_up_id, 'reason', p #> '{body,reason}'));
    END IF;
    PERFORM begin_again(f, v_by, jsonb_build_object('reason', p #> '{body,reason}'));
END $$;
COMMENT ON FUNCTION reopen_follow_up(bigint, jsonb) IS 'The matter is not settled after all; one that was merged is taken out again.';
GRANT EXECUTE ON FUNCTION acknowledge_follow_up, resolve_follow_up, verify_follow_up, close_follow_up, reopen_follow_up TO ringback_console;
