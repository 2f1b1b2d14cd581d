-- The targets of people: added, put in order, tried out and taken out of use, by the administrator's tool and the console
-- (88-api-targets.sql). Each change leaves a row in the audit log; a refusal is raised as P0001 in words for whoever asked.

-- p_bucket: the robot or mailbox behind it; p_position: where among those he has, from 1; null: behind them.
CREATE OR REPLACE FUNCTION add_target(p_branch integer, p_person text, p_channel text, p_address text, p_sealed_secret bytea,
                                      p_actor text, p_bucket text DEFAULT NULL, p_position text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_person people;
    v_target integer;
BEGIN
    SELECT * INTO v_person FROM people WHERE branch_id = p_branch AND code = p_person;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no person "%"', p_person;
    ELSIF v_person.retired_at IS NOT NULL THEN
        RAISE EXCEPTION '% is retired', p_person;
    END IF;
    INSERT INTO targets (branch_id, person_id, channel, address, sealed_secret, bucket, position)
        VALUES (p_branch, v_person.person_id, p_channel, p_address, p_sealed_secret, p_bucket,
            (SELECT coalesce(max(position), 0) + 1 FROM targets WHERE branch_id = p_branch AND person_id = v_person.person_id
                AND retired_at IS NULL))
        ON CONFLICT (branch_id, person_id, channel, address) WHERE retired_at IS NULL DO NOTHING
        RETURNING target_id INTO v_target;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% has this target already', p_person USING HINT = 'retire it first: ringback target list';
    END IF;
    IF p_position IS NOT NULL THEN
        PERFORM place_target(p_branch, v_target::text, p_position);
    END IF;
    PERFORM adopt_stranded(p_branch);
    PERFORM write_audit(p_branch, p_actor, 'target-add', p_person, jsonb_build_object('channel', p_channel, 'address', p_address));
END $$;
COMMENT ON FUNCTION add_target(integer, text, text, text, bytea, text, text, text) IS
    'A new target of a person, behind those he has or where asked; notifications that waited for one go to it.';

CREATE OR REPLACE FUNCTION live_target(p_branch integer, p_target text) RETURNS targets
LANGUAGE plpgsql AS $$
DECLARE
    v_target targets;
BEGIN
    IF p_target ~ '^[0-9]{1,9}$' THEN
        SELECT * INTO v_target FROM targets
            WHERE branch_id = p_branch AND target_id = p_target::integer AND retired_at IS NULL FOR NO KEY UPDATE;
    END IF;
    IF v_target.target_id IS NULL THEN
        RAISE EXCEPTION 'there is no live target %', p_target USING HINT = 'their numbers: ringback target list';
    END IF;
    RETURN v_target;
END $$;
COMMENT ON FUNCTION live_target(integer, text) IS 'A target by its number, locked; refused when there is none in use.';

CREATE OR REPLACE FUNCTION place_target(p_branch integer, p_target text, p_position text) RETURNS targets
LANGUAGE plpgsql AS $$
DECLARE
    v_target targets := live_target(p_branch, p_target);
BEGIN
    IF p_position !~ '^[1-9][0-9]{0,2}$' THEN
        RAISE EXCEPTION '"%" is no place', p_position USING HINT = '1 is the first, which is notified first';
    END IF;
    PERFORM FROM targets WHERE branch_id = p_branch AND person_id = v_target.person_id AND retired_at IS NULL
        ORDER BY target_id FOR NO KEY UPDATE;
    UPDATE targets t SET position = n.place
        FROM (SELECT o.target_id, row_number() OVER (ORDER BY CASE WHEN o.target_id = v_target.target_id THEN p_position::numeric - 0.5
                                                                   ELSE o.place END) AS place
              FROM (SELECT x.target_id, row_number() OVER (ORDER BY x.position, x.target_id) AS place FROM targets x
                    WHERE x.branch_id = p_branch AND x.person_id = v_target.person_id AND x.retired_at IS NULL
                      AND x.target_id <> v_target.target_id
                    UNION ALL SELECT v_target.target_id, 0) o) n
        WHERE t.branch_id = p_branch AND t.target_id = n.target_id AND t.position IS DISTINCT FROM n.place;
    RETURN v_target;
END $$;
COMMENT ON FUNCTION place_target(integer, text, text) IS 'Puts a target at this place among its person''s, from 1; the others keep their order.';

CREATE OR REPLACE FUNCTION move_target(p_branch integer, p_target text, p_position text, p_actor text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_target targets := place_target(p_branch, p_target, p_position);
BEGIN
    PERFORM write_audit(p_branch, p_actor, 'target-move', (SELECT code FROM people
            WHERE branch_id = p_branch AND person_id = v_target.person_id),
        jsonb_build_object('target', v_target.target_id, 'channel', v_target.channel, 'position', p_position::integer));
END $$;
COMMENT ON FUNCTION move_target(integer, text, text, text) IS 'Changes the order in which a person''s channels are used.';

-- What a console target''s person has not seen goes back to the outbox, whose next claim passes it on.
CREATE OR REPLACE FUNCTION withdraw_inbox(p_branch integer, p_person integer) RETURNS integer
LANGUAGE sql AS $$
    WITH unseen AS (
        UPDATE inbox SET withdrawn_at = now()
            WHERE branch_id = p_branch AND person_id = p_person AND seen_at IS NULL AND withdrawn_at IS NULL
            RETURNING branch_id, follow_up_id, notification_id
    ), back AS (
        UPDATE notifications n SET state = 'waiting', next_attempt_at = now() FROM unseen u
            WHERE n.branch_id = u.branch_id AND n.follow_up_id = u.follow_up_id AND n.notification_id = u.notification_id
              AND n.state = 'inbox' RETURNING 1)
    SELECT count(*)::integer FROM back
$$;
COMMENT ON FUNCTION withdraw_inbox(integer, integer) IS 'Takes what a person has not seen out of his inbox, to be passed on; says how many.';

CREATE OR REPLACE FUNCTION retire_target(p_branch integer, p_target text, p_actor text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_target targets := live_target(p_branch, p_target);
BEGIN
    -- What waits for it, and what comes back from an attempt, is passed on by the daemon's next claim.
    UPDATE targets SET retired_at = now(), retired_because = 'removed' WHERE branch_id = p_branch AND target_id = v_target.target_id;
    IF v_target.channel = 'console' THEN
        PERFORM withdraw_inbox(p_branch, v_target.person_id);
    END IF;
    PERFORM write_audit(p_branch, p_actor, 'target-retire', (SELECT code FROM people
            WHERE branch_id = p_branch AND person_id = v_target.person_id),
        jsonb_build_object('channel', v_target.channel, 'address', v_target.address));
END $$;
COMMENT ON FUNCTION retire_target(integer, text, text) IS 'Nothing goes there any more; what waited for it is passed on.';

-- The daemon sends it like any notification, within the target's limits, but once. Its body is a CloudEvent of its own type.
CREATE OR REPLACE FUNCTION test_target(p_branch integer, p_target text, p_actor text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_target targets := live_target(p_branch, p_target);
    v_id uuid := gen_random_uuid();
BEGIN
    IF v_target.channel = 'console' THEN
        RAISE EXCEPTION 'the console needs no test: what is filed there waits until its person sees it';
    ELSIF EXISTS (SELECT FROM target_tests WHERE branch_id = p_branch AND target_id = v_target.target_id AND finished_at IS NULL) THEN
        RAISE EXCEPTION 'a test of target % is under way already', p_target USING HINT = 'wait for its end';
    END IF;
    INSERT INTO target_tests (branch_id, test_id, target_id, asked_by, body)
    SELECT p_branch, v_id, v_target.target_id, p_actor, json_build_object(
        'specversion', '1.0', 'id', v_id, 'source', '/ringback/' || uri_segment(b.code), 'type', 'ringback.target.test',
        'subject', v_target.target_id::text, 'time', now(), 'datacontenttype', 'application/json',
        'data', json_build_object('target', v_target.target_id, 'recipient', p.code))::text
    FROM branches b JOIN people p USING (branch_id) WHERE b.branch_id = p_branch AND p.person_id = v_target.person_id;
    PERFORM write_audit(p_branch, p_actor, 'target-test', v_target.target_id::text);
    RETURN v_id;
END $$;
COMMENT ON FUNCTION test_target(integer, text, text) IS 'Has a message sent to a target now, to see whether it gets through; gives the test''s id.';
