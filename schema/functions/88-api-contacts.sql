-- A contact with the retailer that somebody enters by hand. Reached: contacted, but only recorded, unless the telephone proved it.
-- Not reached: a try like those that the telephone reports.

CREATE OR REPLACE FUNCTION note_contact(p_id bigint, p_outcome text, p_at timestamptz, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    f follow_ups;
    v_at timestamptz := coalesce(p_at, now());
BEGIN
    SELECT * INTO f FROM follow_ups WHERE branch_id = asker_branch() AND follow_up_id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM found_nothing('follow-up');
    ELSIF asker_person() IS NULL THEN
        PERFORM refuse(403, 'no-person', 'this account is nobody''s: a contact is written down with who made it, so log in with the account of a person');
    ELSIF NOT may_acknowledge(f, asker_person()) THEN
        PERFORM refuse(403, 'not-in-charge', format('%s owns this follow-up: its contacts are entered by him, his deputy, whoever is up his line, or a supervisor',
            coalesce((SELECT code FROM people WHERE branch_id = f.branch_id AND person_id = f.owner_id), 'nobody')));
    ELSIF f.state NOT IN ('open', 'acknowledged', 'contacted') THEN
        PERFORM refuse(409, 'illegal-move', format('this follow-up is %s: contacts are entered before it is resolved, or after it is reopened', f.state));
    ELSIF v_at < greatest(f.raised_at, CASE WHEN f.reopened > 0 THEN (SELECT max(h.at) FROM follow_up_history h
            WHERE h.branch_id = f.branch_id AND h.follow_up_id = f.follow_up_id AND h.kind = 'reopened') END)
        OR v_at > now() + interval '60 seconds' THEN
        PERFORM fault('/at', 'between the moment it was raised, or reopened, and now');
    END IF;
    INSERT INTO follow_up_tries (branch_id, follow_up_id, at, outcome, by_person_id, actor, note)
        VALUES (f.branch_id, f.follow_up_id, v_at, CASE p_outcome WHEN 'reached' THEN 'recorded' ELSE p_outcome END, asker_person(),
                asker_actor(), p_note);
    IF p_outcome = 'reached' AND f.state IN ('open', 'acknowledged') THEN
        UPDATE follow_ups SET state = 'contacted', proof = 'recorded', contacted_at = v_at, contacted_by_id = asker_person(),
                              first_try_at = least(first_try_at, v_at)
            WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    ELSE
        UPDATE follow_ups SET first_try_at = least(first_try_at, v_at) WHERE branch_id = f.branch_id AND follow_up_id = f.follow_up_id;
    END IF;
    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, by_person_id, details)
        VALUES (f.branch_id, f.follow_up_id, CASE p_outcome WHEN 'reached' THEN 'contacted' ELSE 'tried' END, asker_person(),
                jsonb_strip_nulls(jsonb_build_object('proof', CASE p_outcome WHEN 'reached' THEN 'recorded' END,
                    'outcome', nullif(p_outcome, 'reached'), 'at', v_at, 'note', p_note)));
END $$;
REVOKE EXECUTE ON FUNCTION note_contact FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_contact TO ringback_console;
COMMENT ON FUNCTION note_contact(bigint, text, timestamptz, text) IS 'Writes down a contact, or a try, by the word of who asks.';

CREATE OR REPLACE FUNCTION follow_up_tries_document(p_follow_up bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('at', t.at, 'outcome', t.outcome, 'call', t.call, 'seconds', t.seconds,
                        'by', p.code, 'by_name', p.name, 'note', t.note) ORDER BY t.at, t.try_id), '[]')
            FROM follow_up_tries t
            LEFT JOIN people p ON p.branch_id = t.branch_id AND p.person_id = t.by_person_id
            WHERE t.branch_id = asker_branch() AND t.follow_up_id = p_follow_up);
END $$;
GRANT EXECUTE ON FUNCTION follow_up_tries_document TO ringback_console;
COMMENT ON FUNCTION follow_up_tries_document(bigint) IS 'Attempts to reach the retailer: calls that proved nothing, and what was entered by hand.';

-- A time in a body: RFC 3339 with its offset.
CREATE OR REPLACE FUNCTION body_time(p jsonb, p_name text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := p -> 'body' ->> p_name;
BEGIN
    IF v_text IS NULL THEN
        RETURN NULL;
    ELSIF jsonb_typeof(p -> 'body' -> p_name) <> 'string' OR v_text !~* '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$' THEN
        PERFORM fault('/' || p_name, 'a time like 2026-03-01T08:30:00+08:00');
    END IF;
    RETURN v_text::timestamptz;
EXCEPTION WHEN data_exception THEN
    PERFORM fault('/' || p_name, 'no time that there is');
END $$;
GRANT EXECUTE ON FUNCTION body_time TO ringback_console;
COMMENT ON FUNCTION body_time(jsonb, text) IS 'A body''s time; null when it is absent or null.';

CREATE OR REPLACE FUNCTION api_record_contact(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := asked_id(p, 'follow-up');
    v_document jsonb;
BEGIN
    IF NOT EXISTS (SELECT FROM follow_ups WHERE branch_id = asker_branch() AND follow_up_id = v_id) THEN
        PERFORM found_nothing('follow-up');
    END IF;
    PERFORM check_members(p, '{outcome,at,note}');
    IF coalesce(p #>> '{body,outcome}', '') <> ALL ('{reached,busy,no-answer,wrong-number,refused}') THEN
        PERFORM fault('/outcome', 'one of: reached, busy, no-answer, wrong-number, refused');
    END IF;
    PERFORM note_contact(v_id, p #>> '{body,outcome}', body_time(p, 'at'), body_text(p, 'note', 1000));
    v_document := follow_up_document(v_id);
    RETURN answer_json(v_document, 200, v_document ->> 'revision');
END $$;
GRANT EXECUTE ON FUNCTION api_record_contact TO ringback_console;
COMMENT ON FUNCTION api_record_contact(jsonb) IS 'Enters a contact by hand; answers with the follow-up as it is then.';
