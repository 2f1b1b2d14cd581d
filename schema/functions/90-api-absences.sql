-- The console's leave: who is away when, and the one action by which somebody who leaves hands everything over.

CREATE OR REPLACE FUNCTION asked_person(p jsonb) RETURNS people LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_person people;
BEGIN
    SELECT * INTO v_person FROM people WHERE branch_id = asker_branch() AND code = p #>> '{path,code}';
    IF NOT FOUND THEN
        PERFORM found_nothing('person');
    END IF;
    RETURN v_person;
END $$;
COMMENT ON FUNCTION asked_person(jsonb) IS 'The person in the path; else 404.';

CREATE OR REPLACE FUNCTION above(p_branch integer, p_person integer, p_below integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
    SELECT EXISTS (SELECT FROM line_of(p_branch, p_below) l WHERE l.person_id = p_person AND l.height BETWEEN 1 AND 999)
$$;
COMMENT ON FUNCTION above(integer, integer, integer) IS 'Whether somebody is up the line of command of another one.';

CREATE OR REPLACE FUNCTION check_leave_of(o people) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF asker_role() NOT IN ('supervisor', 'administrator') AND o.person_id IS DISTINCT FROM asker_person()
        AND NOT coalesce(above(o.branch_id, asker_person(), o.person_id), false) THEN
        PERFORM refuse(403, 'forbidden', format('the leave of %s is for himself, his superiors, supervisors and administrators', o.code));
    END IF;
END $$;
COMMENT ON FUNCTION check_leave_of(people) IS 'Refuses (403) whoever has no business with this person''s leave.';

CREATE OR REPLACE FUNCTION absence_document(a absences) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', a.absence_id, 'person', o.code, 'deputy', d.code, 'starts_at', a.starts_at, 'ends_at', a.ends_at,
        'reason', a.reason, 'made_by', a.made_by, 'made_at', a.made_at, 'cancelled_at', a.cancelled_at,
        'now', a.cancelled_at IS NULL AND a.starts_at <= now() AND a.ends_at > now())
    FROM people o LEFT JOIN people d ON d.branch_id = a.branch_id AND d.person_id = a.deputy_id
    WHERE o.branch_id = a.branch_id AND o.person_id = a.person_id
$$;
COMMENT ON FUNCTION absence_document(absences) IS 'A leave as the console shows it.';

CREATE OR REPLACE FUNCTION api_list_absences(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after jsonb := asked_cursor(p, 2);
    o people := asked_person(p);
    v_items json[];
    v_keys jsonb[];
BEGIN
    PERFORM check_leave_of(o);
    SELECT array_agg(absence_document(a)), array_agg(jsonb_build_array(a.ends_at, a.absence_id)) INTO v_items, v_keys
    FROM (SELECT * FROM absences a WHERE a.branch_id = o.branch_id AND a.person_id = o.person_id
            AND (v_after IS NULL OR (a.ends_at, a.absence_id) < (cursor_time(v_after, 0), cursor_number(v_after, 1)))
          ORDER BY a.ends_at DESC, a.absence_id DESC LIMIT v_limit + 1) a;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_absences(jsonb) IS 'The leaves of a person, the latest first.';

CREATE OR REPLACE FUNCTION add_absence(p_person integer, p_deputy integer, p_starts timestamptz, p_ends timestamptz, p_reason text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_other absences;
    v_id bigint;
BEGIN
    PERFORM FROM people WHERE branch_id = v_branch AND person_id = p_person FOR NO KEY UPDATE;
    SELECT * INTO v_other FROM absences
        WHERE branch_id = v_branch AND person_id = p_person AND cancelled_at IS NULL AND starts_at < p_ends AND ends_at > p_starts LIMIT 1;
    IF FOUND THEN
        PERFORM refuse(409, 'overlapping', format('there is a leave at that time already, %s: call it off first', v_other.absence_id));
    END IF;
    INSERT INTO absences (branch_id, person_id, deputy_id, starts_at, ends_at, reason, made_by)
        VALUES (v_branch, p_person, p_deputy, p_starts, p_ends, p_reason, asker_actor()) RETURNING absence_id INTO v_id;
    PERFORM write_audit(v_branch, asker_actor(), 'absence-add', (SELECT code FROM people WHERE branch_id = v_branch AND person_id = p_person),
        jsonb_build_object('absence', v_id, 'starts_at', p_starts, 'ends_at', p_ends));
    RETURN v_id;
END $$;
REVOKE EXECUTE ON FUNCTION add_absence FROM PUBLIC;
COMMENT ON FUNCTION add_absence(integer, integer, timestamptz, timestamptz, text) IS 'Writes down a leave; refuses one that overlaps another.';

CREATE OR REPLACE FUNCTION api_add_absence(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    o people := asked_person(p);
    v_starts timestamptz;
    v_ends timestamptz;
    v_deputy people;
    v_id bigint;
BEGIN
    PERFORM check_leave_of(o), check_members(p, '{starts_at,ends_at,deputy,reason}');
    v_starts := coalesce(body_time(p, 'starts_at'), now());
    v_ends := body_time(p, 'ends_at');
    IF o.retired_at IS NOT NULL THEN
        PERFORM refuse(409, 'retired', format('%s works here no more', o.code));
    ELSIF v_ends IS NULL THEN
        PERFORM fault('/ends_at', 'this is needed: the time at which he is back');
    ELSIF v_ends <= v_starts OR v_ends <= now() THEN
        PERFORM fault('/ends_at', 'behind its beginning, and in the future');
    ELSIF v_ends > v_starts + interval '400 days' THEN
        PERFORM fault('/ends_at', 'at most 400 days after its beginning: who leaves for longer hands over');
    END IF;
    IF body_text(p, 'deputy') IS NOT NULL THEN
        SELECT * INTO v_deputy FROM people WHERE branch_id = o.branch_id AND code = body_text(p, 'deputy') AND retired_at IS NULL;
        IF NOT FOUND THEN
            PERFORM fault('/deputy', 'nobody who works here has this code');
        ELSIF v_deputy.person_id = o.person_id THEN
            PERFORM fault('/deputy', 'somebody else');
        END IF;
    END IF;
    v_id := add_absence(o.person_id, v_deputy.person_id, v_starts, v_ends, body_text(p, 'reason'));
    RETURN (SELECT answer_json(absence_document(a), 201, NULL, format('/api/v1/people/%s/absences/%s', uri_segment(o.code), v_id))
            FROM absences a WHERE a.branch_id = o.branch_id AND a.absence_id = v_id);
END $$;
COMMENT ON FUNCTION api_add_absence(jsonb) IS 'A leave: for its time somebody stands in.';

CREATE OR REPLACE FUNCTION end_absence(p_person integer, p_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    a absences;
BEGIN
    SELECT * INTO a FROM absences WHERE branch_id = v_branch AND person_id = p_person AND absence_id = p_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM found_nothing('leave');
    ELSIF a.cancelled_at IS NOT NULL THEN
        RETURN; -- again
    ELSIF a.ends_at <= now() THEN
        PERFORM refuse(409, 'over', 'this leave is over: it stays as it was');
    ELSIF a.starts_at < now() THEN
        UPDATE absences SET ends_at = now() WHERE branch_id = v_branch AND absence_id = p_id;
    ELSE
        UPDATE absences SET cancelled_at = now(), cancelled_by = asker_actor() WHERE branch_id = v_branch AND absence_id = p_id;
    END IF;
    PERFORM write_audit(v_branch, asker_actor(), 'absence-end', (SELECT code FROM people WHERE branch_id = v_branch AND person_id = p_person),
        jsonb_build_object('absence', p_id));
END $$;
REVOKE EXECUTE ON FUNCTION end_absence FROM PUBLIC;
COMMENT ON FUNCTION end_absence(integer, bigint) IS 'Calls a leave off, or ends it now when it has begun.';

CREATE OR REPLACE FUNCTION api_end_absence(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    o people := asked_person(p);
BEGIN
    PERFORM check_leave_of(o), end_absence(o.person_id, asked_id(p, 'leave'));
    RETURN (204, NULL, NULL, NULL, NULL, NULL, NULL)::answer;
END $$;
COMMENT ON FUNCTION api_end_absence(jsonb) IS 'Calls a leave off, or ends it now.';

CREATE OR REPLACE FUNCTION leave_all(p_from text, p_to text, p_retire boolean, p_reason text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
BEGIN
    IF asker_role() NOT IN ('supervisor', 'administrator') THEN
        PERFORM refuse(403, 'forbidden', 'a supervisor or an administrator hands over for somebody');
    END IF;
    RETURN hand_over_person(asker_branch(), p_from, p_to, p_retire, p_reason, asker_actor(), asker_person());
END $$;
REVOKE EXECUTE ON FUNCTION leave_all FROM PUBLIC;
COMMENT ON FUNCTION leave_all(text, text, boolean, text) IS 'hand_over_person for the console.';

CREATE OR REPLACE FUNCTION api_hand_over_person(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    o people := asked_person(p);
BEGIN
    PERFORM check_members(p, '{to,retire,reason}');
    IF body_text(p, 'to') IS NULL THEN
        PERFORM fault('/to', 'this is needed: the code of who takes over');
    ELSIF p #> '{body,retire}' IS NOT NULL AND jsonb_typeof(p #> '{body,retire}') <> 'boolean' THEN
        PERFORM fault('/retire', 'true or false');
    END IF;
    RETURN answer_json(leave_all(o.code, body_text(p, 'to'), coalesce((p #> '{body,retire}')::boolean, false), body_text(p, 'reason')));
END $$;
COMMENT ON FUNCTION api_hand_over_person(jsonb) IS 'Everything that waits for somebody goes to another one, in one action.';

GRANT EXECUTE ON FUNCTION asked_person, above, check_leave_of, absence_document, api_list_absences, add_absence, api_add_absence, end_absence,
    api_end_absence, leave_all, api_hand_over_person, uri_segment TO ringback_console;
