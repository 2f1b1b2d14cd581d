-- Silence: a follow-up that nobody acknowledges is passed on, to the next channel of who should, then to his deputy, then up the
-- line, a policy's acknowledge_within after the other. Only one such step waits at a time: the clock adds the next one when it
-- fires one (65-promise.sql). Acknowledged, tried, contacted or closed, the one that waits is skipped. What is for lateness is
-- not touched by any of this.

-- By the branch's calendar where it has one: nobody is silent while he is at home.
CREATE OR REPLACE FUNCTION acknowledge_by(p_branch integer, p_from timestamptz, p_within interval) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT coalesce(working_time_add(p_branch, p_from, p_within), p_from + p_within)
$$;
COMMENT ON FUNCTION acknowledge_by(integer, timestamptz, interval) IS 'When so much time to acknowledge is over, counted in working hours if the branch has a calendar.';

-- p_number: of the first step of this round; null: behind those that are there.
CREATE OR REPLACE FUNCTION arm_silence(p_branch integer[], p_follow_up bigint[], p_number integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- The time is counted once for all that share it.
    WITH one AS MATERIALIZED (
        SELECT f.branch_id, f.follow_up_id, p.acknowledge_within
        FROM unnest(p_branch, p_follow_up) AS x (branch, follow_up)
        JOIN follow_ups f ON f.branch_id = x.branch AND f.follow_up_id = x.follow_up AND f.state = 'open'
        JOIN policies p ON p.branch_id = f.branch_id AND p.policy_id = f.policy_id AND p.acknowledge_within IS NOT NULL
    ), due AS MATERIALIZED (
        SELECT d.branch_id, d.acknowledge_within, acknowledge_by(d.branch_id, now(), d.acknowledge_within) AS at
        FROM (SELECT DISTINCT branch_id, acknowledge_within FROM one) d
    )
    INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, due_at)
    SELECT o.branch_id, o.follow_up_id, 'unacknowledged-' || coalesce(p_number, 1 + (SELECT count(*) FROM follow_up_steps s
               WHERE s.branch_id = o.branch_id AND s.follow_up_id = o.follow_up_id AND s.step ~ '^unacknowledged-[0-9]+$')),
           'unacknowledged', 'next_channel', d.at
    FROM one o JOIN due d USING (branch_id, acknowledge_within)
    ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION arm_silence(integer[], bigint[], integer) IS 'From now on these follow-ups are to be acknowledged in their policy''s time.';

CREATE OR REPLACE FUNCTION begin_silence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE follow_up_steps SET fired_at = now(), skipped = 'replaced'
        WHERE branch_id = NEW.branch_id AND follow_up_id = NEW.follow_up_id AND action = 'unacknowledged' AND fired_at IS NULL;
    PERFORM arm_silence(ARRAY[NEW.branch_id], ARRAY[NEW.follow_up_id]);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION begin_silence() IS 'Another owner, or one reopened: it has to be acknowledged anew.';
CREATE OR REPLACE TRIGGER begin_silence AFTER UPDATE ON follow_ups FOR EACH ROW
    WHEN (NEW.state = 'open' AND (OLD.state <> 'open' OR NEW.owner_id IS DISTINCT FROM OLD.owner_id))
    EXECUTE FUNCTION begin_silence();

-- From the stage that was asked on, the first one at which there is somebody who was not asked at one before it. v_target only
-- for the next channel. Of a report of an offence only those are asked who may see it.
CREATE OR REPLACE FUNCTION silence_next(p_branch integer, p_follow_up bigint, p_whom text,
                                        OUT v_whom text, OUT v_person integer, OUT v_target integer)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    f follow_ups;
    v_asked integer[];
    v_reached boolean := false;
BEGIN
    SELECT * INTO f FROM follow_ups WHERE branch_id = p_branch AND follow_up_id = p_follow_up;
    v_asked := ARRAY[stand_in(p_branch, coalesce(f.owner_id, duty_supervisor(p_branch)))];
    FOREACH v_whom IN ARRAY '{next_channel,deputy,market_manager,duty_supervisor}'::text[] LOOP
        v_reached := v_reached OR v_whom = p_whom;
        v_person := CASE
            WHEN v_whom = 'next_channel' THEN v_asked[1]
            WHEN v_whom = 'deputy' THEN (SELECT d.person_id FROM people o
                JOIN people d ON d.branch_id = o.branch_id AND d.person_id = o.deputy_id
                WHERE o.branch_id = p_branch AND o.person_id = f.owner_id AND d.retired_at IS NULL AND NOT absent(p_branch, d.person_id)
                  AND (f.kind <> 'report' OR may_see_report(p_branch, d.person_id)))
            WHEN f.kind = 'report' AND EXISTS (SELECT FROM report_line(p_branch)) THEN
                (SELECT l.person_id FROM report_line(p_branch, f.area_id) l
                 WHERE l.person_id <> ALL (v_asked) AND NOT absent(p_branch, l.person_id) ORDER BY l.height LIMIT 1)
            WHEN v_whom = 'market_manager' THEN stand_in(p_branch, market_manager_of(p_branch, f.owner_id, f.retailer_id))
            ELSE stand_in(p_branch, duty_supervisor(p_branch)) END;
        IF v_whom = 'next_channel' THEN
            SELECT t.target_id INTO v_target FROM targets t JOIN people p USING (branch_id, person_id)
                WHERE t.branch_id = p_branch AND t.person_id = v_person AND t.retired_at IS NULL AND p.retired_at IS NULL
                  AND (f.kind <> 'report' OR may_see_report(p_branch, v_person))
                  AND NOT EXISTS (SELECT FROM notifications n
                      WHERE n.branch_id = p_branch AND n.follow_up_id = p_follow_up AND n.target_id = t.target_id)
                ORDER BY t.position, t.target_id LIMIT 1;
            IF v_reached AND v_target IS NOT NULL THEN
                RETURN;
            END IF;
        ELSIF v_person <> ALL (v_asked) THEN
            IF v_reached THEN
                v_target := NULL;
                RETURN;
            END IF;
            v_asked := v_asked || v_person;
        END IF;
    END LOOP;
    v_whom := NULL;
    v_person := NULL;
    v_target := NULL;
END $$;
COMMENT ON FUNCTION silence_next(integer, bigint, text) IS 'Who is told of a follow-up that nobody acknowledges, from this stage on; null: there is nobody left.';
