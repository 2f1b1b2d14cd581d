-- Acknowledging by the link of a notification: whoever holds it needs no session, as it came to him over his own channel. Called
-- by the daemon (server/console/acknowledge.c); opening the link only looks, since mail scanners follow links.

CREATE OR REPLACE FUNCTION may_acknowledge(f follow_ups, p_person integer) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM people WHERE branch_id = f.branch_id AND person_id = p_person AND retired_at IS NULL)
        AND CASE WHEN f.kind = 'report' AND EXISTS (SELECT FROM report_line(f.branch_id)) THEN may_see_report(f.branch_id, p_person)
                 ELSE p_person IS NOT DISTINCT FROM f.owner_id OR answers_for(f.branch_id, p_person, f.owner_id, f.retailer_id) IS NOT NULL END
$$;
COMMENT ON FUNCTION may_acknowledge(follow_ups, integer) IS
    'Whether this person''s word is enough that a follow-up is in hands: its owner, his deputy, whoever is up his line, a supervisor; of a report who may see it.';

-- what: "unknown" (no such link), "others" (it has gone to somebody else, or he has left), "open", "acknowledged", "contacted"
-- (which stands for what comes after it, too) or "closed": the state in which the follow-up is now. Of those of others nothing more is told.
CREATE OR REPLACE FUNCTION acknowledge_by_link(p_token text, p_acknowledge boolean, OUT what text, OUT reference text, OUT due text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    v_bytes bytea;
    v_branch integer;
    v_follow_up bigint;
    v_person integer;
    v_follow follow_ups;
BEGIN
    what := 'unknown';
    IF p_token !~ '^[A-Za-z0-9_-]{43}$' THEN
        RETURN;
    END IF;
    v_bytes := decode(translate(p_token, '-_', '+/') || '=', 'base64');
    v_branch := ('x' || encode(substr(v_bytes, 1, 4), 'hex'))::bit(32)::integer;
    v_follow_up := ('x' || encode(substr(v_bytes, 5, 8), 'hex'))::bit(64)::bigint;
    v_person := ('x' || encode(substr(v_bytes, 13, 4), 'hex'))::bit(32)::integer;
    -- Compared by their hashes, so that the time it takes tells nothing.
    IF sha256(p_token::bytea) IS DISTINCT FROM sha256(acknowledge_token(v_branch, v_follow_up, v_person)::bytea) THEN
        RETURN;
    END IF;
    IF p_acknowledge THEN
        SELECT * INTO v_follow FROM follow_ups WHERE branch_id = v_branch AND follow_up_id = v_follow_up FOR NO KEY UPDATE;
    ELSE
        SELECT * INTO v_follow FROM follow_ups WHERE branch_id = v_branch AND follow_up_id = v_follow_up;
    END IF;
    IF NOT FOUND THEN
        RETURN;
    ELSIF NOT may_acknowledge(v_follow, v_person) THEN
        what := 'others';
        RETURN;
    END IF;
    IF p_acknowledge AND v_follow.state = 'open' THEN
        UPDATE follow_ups SET state = 'acknowledged', acknowledged_at = coalesce(acknowledged_at, now()),
                              acknowledged_by_id = coalesce(acknowledged_by_id, v_person)
            WHERE branch_id = v_branch AND follow_up_id = v_follow_up;
        INSERT INTO follow_up_history (branch_id, follow_up_id, kind, by_person_id, details)
            VALUES (v_branch, v_follow_up, 'acknowledged', v_person, '{"by": "link"}');
        v_follow.state := 'acknowledged';
    END IF;
    what := CASE WHEN v_follow.state IN ('resolved', 'verified') THEN 'contacted' ELSE v_follow.state END;
    reference := v_follow.complaint::text;
    due := (SELECT to_char(v_follow.due_at AT TIME ZONE b.timezone, 'YYYY-MM-DD HH24:MI') FROM branches b WHERE b.branch_id = v_branch);
END $$;
REVOKE EXECUTE ON FUNCTION acknowledge_by_link FROM PUBLIC;
GRANT EXECUTE ON FUNCTION acknowledge_by_link TO ringback_app, ringback_console;
COMMENT ON FUNCTION acknowledge_by_link(text, boolean) IS
    'What a link stands for, and acknowledges it if asked to, once: the follow-up''s state, its reference and when it is due by the branch''s clock.';
