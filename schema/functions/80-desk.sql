-- The console's one way in: desk() finds out who asks, checks his role, and calls the operation's function. Operation "NAME"
-- of the OpenAPI document is the function api_NAME(jsonb), which runs with the rights of ringback_console, under row-level
-- security; what it may write, it writes by calling functions of the owner.
--
-- p, the request: {"path": {name: text}, "query": {name: text}, "body": JSON or absent, "if_match": text or absent}.
-- An operation refuses by refuse(): the transaction is undone, and the refusal becomes a problem document (RFC 9457).

CREATE OR REPLACE FUNCTION refuse(p_status integer, p_code text, p_detail text, p_errors jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'RB' || p_status, MESSAGE = p_detail,
        DETAIL = jsonb_build_object('code', p_code, 'errors', p_errors)::text;
END $$;
GRANT EXECUTE ON FUNCTION refuse TO ringback_console;
COMMENT ON FUNCTION refuse(integer, text, text, jsonb) IS
    'Ends the request: status, code of the problem, what is wrong and what to do, and where data is at fault [{pointer, code, detail}].';

CREATE OR REPLACE FUNCTION found_nothing(p_what text) RETURNS void LANGUAGE sql AS $$
    SELECT refuse(404, 'not-found', 'there is no such ' || p_what || ', or it is not yours to see')
$$;
GRANT EXECUTE ON FUNCTION found_nothing TO ringback_console;
COMMENT ON FUNCTION found_nothing(text) IS 'Refuses with 404: somebody else''s row and none are the same.';

CREATE OR REPLACE FUNCTION answer_json(p_body anyelement, p_status integer DEFAULT 200, p_etag text DEFAULT NULL,
                                       p_location text DEFAULT NULL) RETURNS answer
LANGUAGE sql STABLE AS $$ SELECT (p_status, NULL, p_etag, p_location, p_body::text, NULL, NULL)::answer $$;
GRANT EXECUTE ON FUNCTION answer_json TO ringback_console;
COMMENT ON FUNCTION answer_json(anyelement, integer, text, text) IS 'An answer of json or jsonb; etag without quotes.';

-- The people whose retailers somebody sees: himself and those who are on leave and for whom he stands in; with each market
-- manager among them everybody below him and the account managers of his area.
--
-- In plpgsql, as everything that each request runs: an SQL function that is not inlined is planned anew at every call.
CREATE OR REPLACE FUNCTION managers_of(p_branch integer, p_person integer, p_role text) RETURNS integer[]
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_managers integer[];
BEGIN
    IF p_person IS NULL THEN
        RETURN NULL;
    ELSIF p_role <> 'market_manager' AND NOT EXISTS (
            SELECT FROM absences a WHERE a.branch_id = p_branch AND a.cancelled_at IS NULL AND a.ends_at > now() AND a.starts_at <= now()) THEN
        RETURN ARRAY[p_person];
    END IF;
    WITH RECURSIVE acted AS (
        SELECT p_person AS person_id, p_role AS role
        UNION
        SELECT o.person_id, o.role FROM absences a JOIN people o ON o.branch_id = a.branch_id AND o.person_id = a.person_id
        WHERE a.branch_id = p_branch AND a.cancelled_at IS NULL AND a.ends_at > now() AND a.starts_at <= now()
          AND o.retired_at IS NULL AND o.person_id <> p_person AND stand_in(p_branch, o.person_id) = p_person
    ), below AS (
        SELECT person_id, role = 'market_manager' AS market FROM acted
        UNION
        SELECT p.person_id, true FROM below b JOIN people p ON p.branch_id = p_branch AND p.reports_to_id = b.person_id WHERE b.market
    )
    SELECT array_agg(x.person_id) INTO v_managers FROM (
        SELECT b.person_id FROM below b
        UNION
        SELECT a.person_id FROM acted t JOIN people m ON m.branch_id = p_branch AND m.person_id = t.person_id
            JOIN people a ON a.branch_id = m.branch_id AND a.area_id = m.area_id
            WHERE t.role = 'market_manager' AND a.role = 'account_manager'
        ) x;
    RETURN v_managers;
END $$;
COMMENT ON FUNCTION managers_of(integer, integer, text) IS 'Whose retailers and follow-ups are those of this person in this role.';

CREATE OR REPLACE FUNCTION enter_as(p_branch integer, p_account integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v record;
BEGIN
    SELECT a.name, a.role, p.person_id, a.role = 'inspector' OR coalesce(p.sees_reports, false) AS reports,
           CASE WHEN a.role = 'market_manager' THEN p.area_id END AS area_id
        INTO STRICT v
    FROM accounts a LEFT JOIN people p ON p.branch_id = a.branch_id AND p.person_id = a.person_id
    WHERE a.branch_id = p_branch AND a.account_id = p_account;
    PERFORM set_config('ringback.branch', p_branch::text, true), set_config('ringback.account', p_account::text, true),
            set_config('ringback.person', coalesce(v.person_id::text, ''), true), set_config('ringback.role', v.role, true),
            set_config('ringback.actor', v.name, true), set_config('ringback.reports', v.reports::text, true),
            set_config('ringback.area', coalesce(v.area_id::text, ''), true),
            set_config('ringback.managers', coalesce(managers_of(p_branch, v.person_id, v.role), '{}')::text, true);
END $$;
REVOKE EXECUTE ON FUNCTION enter_as FROM PUBLIC;
COMMENT ON FUNCTION enter_as(integer, integer) IS 'From here to the end of the transaction this account asks.';

CREATE OR REPLACE FUNCTION enter(p_token_hash bytea, p_roles text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    s record;
BEGIN
    SELECT x.branch_id, x.session_id, x.seen_at, a.account_id, a.role INTO s
    FROM sessions x
    JOIN accounts a USING (branch_id, account_id)
    JOIN branches b USING (branch_id)
    LEFT JOIN people p ON p.branch_id = a.branch_id AND p.person_id = a.person_id
    WHERE x.token_hash = p_token_hash AND x.ended_at IS NULL AND x.ends_at > now() AND x.seen_at + b.session_idle > now()
      AND a.disabled_at IS NULL AND p.retired_at IS NULL;
    IF NOT FOUND THEN
        PERFORM refuse(401, 'unauthorized', 'log in first: there is no session, or it has ended');
    ELSIF s.role <> ALL (p_roles) THEN
        PERFORM refuse(403, 'forbidden', format('this is not for the role %s', s.role));
    END IF;
    IF s.seen_at < now() - interval '1 minute' THEN
        UPDATE sessions SET seen_at = now() WHERE branch_id = s.branch_id AND session_id = s.session_id;
    END IF;
    PERFORM enter_as(s.branch_id, s.account_id), set_config('ringback.session', s.session_id::text, true);
END $$;
REVOKE EXECUTE ON FUNCTION enter FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enter TO ringback_console;
COMMENT ON FUNCTION enter(bytea, text[]) IS 'Who asks, by the hash of his session''s token; refuses without a live session (401) or a role for this (403).';

CREATE OR REPLACE FUNCTION desk(p_token_hash bytea, p_roles text[], p_operation text, p_request jsonb) RETURNS answer
LANGUAGE plpgsql SET search_path = ringback, pg_temp AS $$
DECLARE
    v_answer answer;
    v_state text;
    v_detail text;
    v_message text;
BEGIN
    PERFORM enter(p_token_hash, p_roles);
    EXECUTE format('SELECT * FROM %I($1)', 'api_' || p_operation) INTO v_answer USING p_request;
    RETURN v_answer;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS v_state = RETURNED_SQLSTATE, v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL;
    IF v_state LIKE 'RB___' THEN
        RETURN (substr(v_state, 3)::integer, NULL, NULL, NULL, v_detail::jsonb ->> 'errors', v_detail::jsonb ->> 'code', v_message)::answer;
    ELSIF v_state = 'P0001' THEN
        RETURN (422, NULL, NULL, NULL, NULL, 'invalid-data', v_message)::answer;
    ELSIF v_state LIKE '22___' THEN
        RETURN (422, NULL, NULL, NULL, NULL, 'invalid-data', 'a value is not of its kind: ' || v_message)::answer;
    END IF;
    RAISE;
END $$;
GRANT EXECUTE ON FUNCTION desk TO ringback_console;
COMMENT ON FUNCTION desk(bytea, text[], text, jsonb) IS 'One request of the console: who asks, may he, and the operation''s answer.';

-- Parts of a request.

CREATE OR REPLACE FUNCTION asked_limit(p jsonb) RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit text := p #>> '{query,limit}';
BEGIN
    IF v_limit IS NULL THEN
        RETURN 50;
    ELSIF v_limit !~ '^[0-9]{1,4}$' OR v_limit::integer NOT BETWEEN 1 AND 200 THEN
        PERFORM refuse(400, 'bad-request', 'limit is a whole number from 1 to 200');
    END IF;
    RETURN v_limit::integer;
END $$;
GRANT EXECUTE ON FUNCTION asked_limit TO ringback_console;
COMMENT ON FUNCTION asked_limit(jsonb) IS 'Rows of a list''s page: 50 unless asked otherwise.';

-- A cursor is where the page before ended: the sort keys of its last row, opaque to callers.
CREATE OR REPLACE FUNCTION asked_cursor(p jsonb, p_keys integer) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := p #>> '{query,cursor}';
    v_cursor jsonb;
BEGIN
    IF v_text IS NULL THEN
        RETURN NULL;
    END IF;
    v_cursor := convert_from(decode(rpad(translate(v_text, '-_', '+/'), (length(v_text) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::jsonb;
    IF jsonb_typeof(v_cursor) <> 'array' OR jsonb_array_length(v_cursor) <> p_keys THEN
        PERFORM refuse(400, 'bad-request', 'this cursor is not one of this list: begin again without it');
    END IF;
    RETURN v_cursor;
EXCEPTION WHEN data_exception THEN
    PERFORM refuse(400, 'bad-request', 'this cursor is not one of this list: begin again without it');
END $$;
GRANT EXECUTE ON FUNCTION asked_cursor TO ringback_console;
COMMENT ON FUNCTION asked_cursor(jsonb, integer) IS 'The sort keys behind which the page begins, or null for the first page.';

CREATE OR REPLACE FUNCTION cursor_of(p_keys jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT rtrim(translate(encode(convert_to(p_keys::text, 'UTF8'), 'base64'), E'+/\n', '-_'), '=')
$$;
GRANT EXECUTE ON FUNCTION cursor_of TO ringback_console;
COMMENT ON FUNCTION cursor_of(jsonb) IS 'The cursor of a row''s sort keys.';

CREATE OR REPLACE FUNCTION check_match(p jsonb, p_etag text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_match text := p ->> 'if_match';
BEGIN
    IF v_match IS NULL THEN
        PERFORM refuse(428, 'precondition-required', 'say which version you change: If-Match with the ETag you read');
    ELSIF v_match <> '*' AND btrim(v_match) <> '"' || p_etag || '"' THEN
        PERFORM refuse(412, 'changed-meanwhile', 'somebody changed this meanwhile: read it again');
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION check_match TO ringback_console;
COMMENT ON FUNCTION check_match(jsonb, text) IS 'Refuses a change without If-Match (428) or of another version than the one read (412).';
