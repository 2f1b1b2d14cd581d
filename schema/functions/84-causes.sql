-- Categories and root causes: the words of a branch, read by everybody, changed by supervisors and administrators. One
-- implementation for both: their tables have the same columns. Locks: one row.

CREATE OR REPLACE FUNCTION check_cause(p_branch integer, p_code text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
BEGIN
    IF p_code IS NOT NULL AND NOT EXISTS (SELECT FROM causes WHERE branch_id = p_branch AND code = p_code AND retired_at IS NULL) THEN
        PERFORM refuse(422, 'invalid-data', 'the root cause is none of this branch''s', jsonb_build_array(jsonb_build_object(
            'pointer', '/root_cause', 'code', 'unknown-cause', 'detail', format('no root cause has the code "%s": GET /api/v1/causes lists them',
                left(p_code, 100)))));
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION check_cause FROM PUBLIC;
GRANT EXECUTE ON FUNCTION check_cause TO ringback_console;
COMMENT ON FUNCTION check_cause(integer, text) IS 'Refuses (422) a root cause that the branch does not list or has retired; null is none, and fine.';

-- Members of a body: each fault is collected, all are told at once.
CREATE OR REPLACE FUNCTION term_faults(p_body jsonb, p_new boolean) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_agg(jsonb_build_object('pointer', coalesce('/' || nullif(f.member, ''), ''), 'code', f.code, 'detail', f.detail))
    FROM (
        SELECT '' AS member, 'invalid-object' AS code, 'the body is a JSON object' AS detail WHERE jsonb_typeof(p_body) IS DISTINCT FROM 'object'
        UNION ALL
        SELECT k.key AS member, 'unknown-member' AS code, 'there is no such member: code, zh, en, kind, position, retired are' AS detail
            FROM jsonb_object_keys(CASE jsonb_typeof(p_body) WHEN 'object' THEN p_body ELSE '{}' END) AS k (key)
            WHERE k.key NOT IN ('code', 'zh', 'en', 'kind', 'position', 'retired')
        UNION ALL
        SELECT t.member, 'invalid-text', 'a text of 1 to 100 characters without control characters'
            FROM unnest('{code,zh,en}'::text[]) AS t (member)
            WHERE (p_new OR p_body ? t.member) AND (jsonb_typeof(p_body -> t.member) IS DISTINCT FROM 'string'
                OR p_body ->> t.member !~ '^[^[:cntrl:]]{1,100}$' OR p_body ->> t.member !~ '[^[:space:]]')
        UNION ALL
        SELECT 'code', 'fixed', 'a code stays: add another term and retire this one' WHERE NOT p_new AND p_body ? 'code'
        UNION ALL
        SELECT 'kind', 'invalid-kind', 'complaint, opinion, request, suggestion, inquiry, report or null'
            WHERE p_body ? 'kind' AND jsonb_typeof(p_body -> 'kind') <> 'null'
              AND p_body -> 'kind' <> ALL ('{"\"complaint\"","\"opinion\"","\"request\"","\"suggestion\"","\"inquiry\"","\"report\""}'::jsonb[])
        UNION ALL
        SELECT 'position', 'invalid-number', 'a whole number from 0 to 32767'
            WHERE p_body ? 'position' AND (jsonb_typeof(p_body -> 'position') <> 'number' OR p_body ->> 'position' !~ '^[0-9]{1,5}$'
                OR (p_body ->> 'position')::numeric > 32767)
        UNION ALL
        SELECT 'retired', 'invalid-boolean', 'true or false' WHERE p_body ? 'retired' AND jsonb_typeof(p_body -> 'retired') <> 'boolean'
        ) f
$$;
COMMENT ON FUNCTION term_faults(jsonb, boolean) IS 'What is wrong with the body of a category or cause, or null.';

CREATE OR REPLACE FUNCTION term_body(p_code text, p_zh text, p_en text, p_kind text, p_position integer, p_retired_at timestamptz) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('code', p_code, 'zh', p_zh, 'en', p_en, 'kind', p_kind, 'position', p_position, 'retired_at', p_retired_at)
$$;
GRANT EXECUTE ON FUNCTION term_body TO ringback_console;
COMMENT ON FUNCTION term_body(text, text, text, text, integer, timestamptz) IS 'A category or cause as the console shows it.';

CREATE OR REPLACE FUNCTION read_term(p_table text, p jsonb) RETURNS answer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_body json;
    v_etag text;
BEGIN
    EXECUTE format('SELECT term_body(code, zh, en, kind, position, retired_at), revision FROM %I WHERE branch_id = asker_branch() AND code = $1',
                   p_table) INTO v_body, v_etag USING p #>> '{path,code}';
    IF v_body IS NULL THEN
        PERFORM found_nothing(CASE p_table WHEN 'causes' THEN 'cause' ELSE 'category' END);
    END IF;
    RETURN answer_json(v_body, 200, v_etag);
END $$;
GRANT EXECUTE ON FUNCTION read_term TO ringback_console;
COMMENT ON FUNCTION read_term(text, jsonb) IS 'One category or cause, with its ETag.';

-- All of them: a branch has a few dozen, and whoever writes a complaint down needs the whole list.
CREATE OR REPLACE FUNCTION list_terms(p_table text, p jsonb) RETURNS answer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_retired text := coalesce(p #>> '{query,retired}', 'false');
    v_after jsonb := asked_cursor(p, 2);
    v_items json;
    v_last jsonb;
    v_limit integer := asked_limit(p);
BEGIN
    PERFORM cursor_number(v_after, 0);
    IF v_retired NOT IN ('true', 'false', 'any') THEN
        PERFORM refuse(400, 'bad-request', 'retired is true, false or any');
    END IF;
    EXECUTE format($q$
        WITH page AS (
            SELECT t.*, row_number() OVER (ORDER BY t.position, t.code) AS n FROM %I t
            WHERE t.branch_id = asker_branch() AND ($1 = 'any' OR (t.retired_at IS NOT NULL) = ($1 = 'true'))
              AND ($2 IS NULL OR (t.position, t.code) > (($2 ->> 0)::integer, $2 ->> 1))
            ORDER BY t.position, t.code LIMIT $3 + 1)
        SELECT (SELECT json_agg(term_body(code, zh, en, kind, position, retired_at) ORDER BY n) FROM page WHERE n <= $3),
               (SELECT jsonb_build_array(l.position, l.code) FROM page l WHERE l.n = $3 AND EXISTS (SELECT FROM page WHERE n = $3 + 1))
        $q$, p_table) INTO v_items, v_last USING v_retired, v_after, v_limit;
    RETURN answer_json(json_build_object('items', coalesce(v_items, '[]'), 'next', cursor_of(v_last)));
END $$;
GRANT EXECUTE ON FUNCTION list_terms TO ringback_console;
COMMENT ON FUNCTION list_terms(text, jsonb) IS 'The categories or causes of a branch in their order.';

CREATE OR REPLACE FUNCTION add_term(p_table text, p_body jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_faults jsonb := term_faults(p_body, true);
BEGIN
    IF v_faults IS NOT NULL THEN
        PERFORM refuse(422, 'invalid-data', 'the term is not complete or not right', v_faults);
    END IF;
    EXECUTE format('INSERT INTO %I (branch_id, code, zh, en, kind, position, retired_at)
                    VALUES (asker_branch(), $1 ->> ''code'', $1 ->> ''zh'', $1 ->> ''en'', $1 ->> ''kind'',
                            coalesce(($1 ->> ''position'')::smallint, 1000), CASE WHEN ($1 ->> ''retired'')::boolean THEN now() END)',
                   p_table) USING p_body;
    PERFORM write_audit(asker_branch(), asker_actor(), p_table || '-add', p_body ->> 'code', p_body - 'code');
EXCEPTION WHEN unique_violation THEN
    PERFORM refuse(409, 'exists', format('there is one with the code "%s", perhaps a retired one: change that', p_body ->> 'code'));
END $$;
REVOKE EXECUTE ON FUNCTION add_term FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_term TO ringback_console;
COMMENT ON FUNCTION add_term(text, jsonb) IS 'Adds a category or cause to the asker''s branch.';

CREATE OR REPLACE FUNCTION change_term(p_table text, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_body jsonb := p -> 'body';
    v_code text := p #>> '{path,code}';
    v_faults jsonb := term_faults(v_body, false);
    v_etag text;
BEGIN
    EXECUTE format('SELECT revision FROM %I WHERE branch_id = asker_branch() AND code = $1 FOR NO KEY UPDATE', p_table)
        INTO v_etag USING v_code;
    IF v_etag IS NULL THEN
        PERFORM found_nothing(CASE p_table WHEN 'causes' THEN 'cause' ELSE 'category' END);
    END IF;
    PERFORM check_match(p, v_etag);
    IF v_faults IS NOT NULL THEN
        PERFORM refuse(422, 'invalid-data', 'the change is not right', v_faults);
    END IF;
    EXECUTE format('UPDATE %I SET zh = coalesce($2 ->> ''zh'', zh), en = coalesce($2 ->> ''en'', en),
                        kind = CASE WHEN $2 ? ''kind'' THEN $2 ->> ''kind'' ELSE kind END,
                        position = coalesce(($2 ->> ''position'')::smallint, position),
                        retired_at = CASE WHEN NOT $2 ? ''retired'' THEN retired_at
                                          WHEN ($2 ->> ''retired'')::boolean THEN coalesce(retired_at, now()) END,
                        revision = revision + 1
                    WHERE branch_id = asker_branch() AND code = $1', p_table) USING v_code, v_body;
    PERFORM write_audit(asker_branch(), asker_actor(), p_table || '-change', v_code, v_body);
END $$;
REVOKE EXECUTE ON FUNCTION change_term FROM PUBLIC;
GRANT EXECUTE ON FUNCTION change_term TO ringback_console;
COMMENT ON FUNCTION change_term(text, jsonb) IS 'Changes or retires a category or cause of the asker''s branch; If-Match names the version.';

CREATE OR REPLACE FUNCTION api_list_categories(p jsonb) RETURNS answer LANGUAGE sql AS $$ SELECT list_terms('categories', p) $$;
CREATE OR REPLACE FUNCTION api_get_category(p jsonb) RETURNS answer LANGUAGE sql AS $$ SELECT read_term('categories', p) $$;
CREATE OR REPLACE FUNCTION api_list_causes(p jsonb) RETURNS answer LANGUAGE sql AS $$ SELECT list_terms('causes', p) $$;
CREATE OR REPLACE FUNCTION api_get_cause(p jsonb) RETURNS answer LANGUAGE sql AS $$ SELECT read_term('causes', p) $$;
COMMENT ON FUNCTION api_list_categories(jsonb) IS 'GET /categories';
COMMENT ON FUNCTION api_get_category(jsonb) IS 'GET /categories/{code}';
COMMENT ON FUNCTION api_list_causes(jsonb) IS 'GET /causes';
COMMENT ON FUNCTION api_get_cause(jsonb) IS 'GET /causes/{code}';

CREATE OR REPLACE FUNCTION added_term(p_table text, p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_answer answer;
BEGIN
    PERFORM add_term(p_table, p -> 'body');
    v_answer := read_term(p_table, jsonb_build_object('path', jsonb_build_object('code', p #>> '{body,code}')));
    v_answer.status := 201;
    v_answer.location := format('/api/v1/%s/%s', p_table, uri_segment(p #>> '{body,code}'));
    RETURN v_answer;
END $$;
GRANT EXECUTE ON FUNCTION added_term TO ringback_console;
COMMENT ON FUNCTION added_term(text, jsonb) IS 'Adds a term to one of the lists, and answers where it is.';

CREATE OR REPLACE FUNCTION api_add_category(p jsonb) RETURNS answer LANGUAGE sql AS $$ SELECT added_term('categories', p) $$;
COMMENT ON FUNCTION api_add_category(jsonb) IS 'POST /categories';
CREATE OR REPLACE FUNCTION api_add_cause(p jsonb) RETURNS answer LANGUAGE sql AS $$ SELECT added_term('causes', p) $$;
COMMENT ON FUNCTION api_add_cause(jsonb) IS 'POST /causes';

CREATE OR REPLACE FUNCTION api_change_category(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM change_term('categories', p);
    RETURN read_term('categories', p);
END $$;
COMMENT ON FUNCTION api_change_category(jsonb) IS 'PATCH /categories/{code}';

CREATE OR REPLACE FUNCTION api_change_cause(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM change_term('causes', p);
    RETURN read_term('causes', p);
END $$;
COMMENT ON FUNCTION api_change_cause(jsonb) IS 'PATCH /causes/{code}';
GRANT EXECUTE ON FUNCTION api_list_categories, api_get_category, api_add_category, api_change_category, api_list_causes, api_get_cause,
    api_add_cause, api_change_cause, uri_segment TO ringback_console;
