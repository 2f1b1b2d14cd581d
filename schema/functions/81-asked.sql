-- What the console's operations read from a request, checked: each gives null for what was not asked, and refuses what is not of
-- its kind (400 for filters, 422 for a body). Lists are composed of fixed pieces of SQL by the filters that were asked, so that
-- each is planned for what it looks for; values are in them as quoted literals (format's %L) only. A code that nobody has finds nothing.

CREATE OR REPLACE FUNCTION asked_text(p jsonb, p_name text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := p #>> ARRAY['query', p_name];
BEGIN
    IF v_text = '' OR length(v_text) > 200 THEN
        PERFORM refuse(400, 'bad-request', format('%s is a text of 1 to 200 characters', p_name));
    END IF;
    RETURN v_text;
END $$;
COMMENT ON FUNCTION asked_text(jsonb, text) IS 'A filter''s text.';

CREATE OR REPLACE FUNCTION asked_one(p jsonb, p_name text, p_allowed text[]) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := p #>> ARRAY['query', p_name];
BEGIN
    IF v_text <> ALL (p_allowed) THEN
        PERFORM refuse(400, 'bad-request', format('%s is one of: %s', p_name, array_to_string(p_allowed, ', ')));
    END IF;
    RETURN v_text;
END $$;
COMMENT ON FUNCTION asked_one(jsonb, text, text[]) IS 'A filter that is one of some words.';

CREATE OR REPLACE FUNCTION asked_some(p jsonb, p_name text, p_allowed text[]) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_words text[] := string_to_array(p #>> ARRAY['query', p_name], ',');
BEGIN
    IF v_words = '{}' OR NOT v_words <@ p_allowed THEN
        PERFORM refuse(400, 'bad-request', format('%s is one or more of: %s; with commas between', p_name, array_to_string(p_allowed, ', ')));
    END IF;
    RETURN v_words;
END $$;
COMMENT ON FUNCTION asked_some(jsonb, text, text[]) IS 'A filter that is one or more of some words.';

CREATE OR REPLACE FUNCTION asked_flag(p jsonb, p_name text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT asked_one(p, p_name, '{true,false}')::boolean
$$;
COMMENT ON FUNCTION asked_flag(jsonb, text) IS 'A filter that is true or false.';

CREATE OR REPLACE FUNCTION asked_whole(p jsonb, p_name text, p_least bigint, p_most bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := p #>> ARRAY['query', p_name];
BEGIN
    IF v_text !~ '^[0-9]{1,18}$' OR v_text::bigint NOT BETWEEN p_least AND p_most THEN
        PERFORM refuse(400, 'bad-request', format('%s is a whole number from %s to %s', p_name, p_least, p_most));
    END IF;
    RETURN v_text::bigint;
END $$;
COMMENT ON FUNCTION asked_whole(jsonb, text, bigint, bigint) IS 'A filter that is a whole number.';

CREATE OR REPLACE FUNCTION asked_time(p jsonb, p_name text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := p #>> ARRAY['query', p_name];
BEGIN
    IF v_text ~ '^\d{4}-\d\d-\d\d$' THEN
        RETURN v_text::date::timestamp AT TIME ZONE (SELECT timezone FROM branches WHERE branch_id = asker_branch());
    ELSIF v_text !~* '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[ +-]\d\d:?\d\d)$' THEN
        PERFORM refuse(400, 'bad-request', format('%s is a time like 2026-03-01T08:30:00+08:00 (with "+" as %%2B), or a day', p_name));
    END IF;
    RETURN regexp_replace(v_text, ' (\d\d:?\d\d)$', '+\1')::timestamptz; -- a plus that was not encoded arrives as a blank
EXCEPTION WHEN data_exception THEN
    PERFORM refuse(400, 'bad-request', format('%s is no time that there is', p_name));
END $$;
COMMENT ON FUNCTION asked_time(jsonb, text) IS 'A filter that is a time with its offset, or a day: its beginning by the branch''s clock.';

CREATE OR REPLACE FUNCTION asked_reference(p jsonb, p_what text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT coalesce(reference_is_valid(p #>> '{path,reference}'), false) THEN
        PERFORM found_nothing(p_what);
    END IF;
    RETURN (p #>> '{path,reference}')::bigint;
END $$;
COMMENT ON FUNCTION asked_reference(jsonb, text) IS 'The reference in a path; 404 when it is none.';

CREATE OR REPLACE FUNCTION asked_id(p jsonb, p_what text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p #>> '{path,id}' !~ '^[1-9][0-9]{0,17}$' THEN
        PERFORM found_nothing(p_what);
    END IF;
    RETURN (p #>> '{path,id}')::bigint;
END $$;
COMMENT ON FUNCTION asked_id(jsonb, text) IS 'The number in a path; 404 when it is none.';

CREATE OR REPLACE FUNCTION asked_phone(p jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_phone text := p #>> '{query,phone}';
BEGIN
    IF v_phone IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN coalesce(phone_number(v_phone, (SELECT area_code FROM branches WHERE branch_id = asker_branch())), '');
END $$;
COMMENT ON FUNCTION asked_phone(jsonb) IS 'The number asked for in its stored spelling; empty when it is none, and then nobody''s.';

CREATE OR REPLACE FUNCTION clause(p_format text, p_value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_value IS NULL THEN '' ELSE format(p_format, p_value) END
$$;
COMMENT ON FUNCTION clause(text, text) IS 'A condition of a list''s query with its value, or nothing when it was not asked for.';

CREATE OR REPLACE FUNCTION person_asked(p jsonb, p_name text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT person_id FROM people WHERE branch_id = asker_branch() AND code = p #>> ARRAY['query', p_name]), -1)::text
    WHERE asked_text(p, p_name) IS NOT NULL
$$;
COMMENT ON FUNCTION person_asked(jsonb, text) IS 'The id of the person a filter names by code; null when it does not.';

CREATE OR REPLACE FUNCTION retailer_asked(p jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT retailer_id FROM retailers WHERE branch_id = asker_branch() AND code = p #>> '{query,retailer}'), -1)::text
    WHERE asked_text(p, 'retailer') IS NOT NULL
$$;
COMMENT ON FUNCTION retailer_asked(jsonb) IS 'The id of the retailer a filter names by code; null when it does not.';

CREATE OR REPLACE FUNCTION area_asked(p jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT area_id FROM areas WHERE branch_id = asker_branch() AND code = p #>> '{query,area}'), -1)::text
    WHERE asked_text(p, 'area') IS NOT NULL
$$;
COMMENT ON FUNCTION area_asked(jsonb) IS 'The id of the area a filter names by code; null when it does not.';

CREATE OR REPLACE FUNCTION complaint_kinds() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT '{complaint,opinion,request,suggestion,inquiry,report}'::text[]
$$;
COMMENT ON FUNCTION complaint_kinds() IS 'What a complaint can be.';

CREATE OR REPLACE FUNCTION follow_up_states() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT '{open,acknowledged,contacted,resolved,verified,closed}'::text[]
$$;
COMMENT ON FUNCTION follow_up_states() IS 'The states of a follow-up in the order of its life.';

-- How a page of a great table is found. A pick_ function, which runs as the owner, composes the query of the rows that who asks may
-- see, in the order of an index, and walk() goes through them until the page is full. The documents of the rows are then made
-- with the rights of who asks, so that row-level security has the last word about each: a row that is not his has none. Picking
-- under row-level security itself would read all of the branch to find the rows of one manager, since what decides there
-- cannot become a condition of an index.
--
-- What asks another table about each row is written (SELECT true … LIMIT 1), which is looked up row by row: of EXISTS the planner
-- might make one hash of the whole table.
--
-- p_rows gives (id, key, ok) in order; what is not ok is passed over. At most p_reach rows are looked at: then the page is short,
-- perhaps empty, and its cursor goes on from there, so that no filter makes a request long.
CREATE OR REPLACE FUNCTION walk(p_rows text, p_limit integer, p_reach integer, OUT ids text[], OUT next jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE
    r record;
    v_seen integer := 0;
    v_key jsonb;
BEGIN
    ids := '{}';
    FOR r IN EXECUTE format('SELECT x.id::text, x.key, x.ok FROM (%s LIMIT %s) x', p_rows, p_reach) LOOP
        v_seen := v_seen + 1;
        IF r.ok THEN
            IF cardinality(ids) = p_limit THEN
                next := v_key;
                RETURN;
            END IF;
            ids := ids || r.id;
            v_key := r.key;
        END IF;
        IF v_seen = p_reach THEN
            next := r.key;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION walk(text, integer, integer) IS
    'A page''s ids in order, and the key behind which the next page begins; null: this is the last. For the owner alone.';

CREATE OR REPLACE FUNCTION reach_of(p_ok text, p_limit integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_ok WHEN 'true' THEN p_limit + 1 ELSE 20000 END
$$;
COMMENT ON FUNCTION reach_of(text, integer) IS 'How many rows walk() looks at: the page and one more when no row is passed over.';

CREATE OR REPLACE FUNCTION page_of(p_items json[], p_next jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (200, NULL, NULL, NULL,
            json_build_object('items', coalesce(array_to_json(p_items), '[]'),
                              'next', CASE WHEN p_next IS NOT NULL THEN cursor_of(p_next) END)::text, NULL, NULL)::answer;
END $$;
COMMENT ON FUNCTION page_of(json[], jsonb) IS 'A list''s page: items, and the key behind which the next begins.';

-- For short lists: one row more than the page is fetched, which tells that there is a next page.
CREATE OR REPLACE FUNCTION page_of(p_items json[], p_keys jsonb[], p_limit integer) RETURNS answer LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN page_of(p_items[1:p_limit], CASE WHEN cardinality(p_items) > p_limit THEN p_keys[p_limit] END);
END $$;
COMMENT ON FUNCTION page_of(json[], jsonb[], integer) IS 'A list''s page: items and their sort keys, of which the last of the page becomes the cursor.';

CREATE OR REPLACE FUNCTION cursor_time(p_cursor jsonb, p_key integer) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (p_cursor ->> p_key)::timestamptz;
EXCEPTION WHEN data_exception THEN
    PERFORM refuse(400, 'bad-request', 'this cursor is not one of this list: begin again without it');
END $$;
COMMENT ON FUNCTION cursor_time(jsonb, integer) IS 'A cursor''s key that is a time.';

CREATE OR REPLACE FUNCTION cursor_number(p_cursor jsonb, p_key integer) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (p_cursor ->> p_key)::bigint;
EXCEPTION WHEN data_exception THEN
    PERFORM refuse(400, 'bad-request', 'this cursor is not one of this list: begin again without it');
END $$;
COMMENT ON FUNCTION cursor_number(jsonb, integer) IS 'A cursor''s key that is a number.';

-- Bodies. A member that is not there leaves things as they are; null clears.

CREATE OR REPLACE FUNCTION fault(p_pointer text, p_detail text) RETURNS void LANGUAGE sql AS $$
    SELECT refuse(422, 'invalid-data', p_pointer || ': ' || p_detail,
                  jsonb_build_array(jsonb_build_object('pointer', p_pointer, 'code', 'invalid-data', 'detail', p_detail)))
$$;
COMMENT ON FUNCTION fault(text, text) IS 'Refuses a body for one of its members.';

CREATE OR REPLACE FUNCTION check_members(p jsonb, p_allowed text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_other text;
BEGIN
    IF jsonb_typeof(p -> 'body') IS DISTINCT FROM 'object' THEN
        PERFORM refuse(422, 'invalid-data', 'the body is a JSON object');
    END IF;
    SELECT k INTO v_other FROM jsonb_object_keys(p -> 'body') k WHERE k <> ALL (p_allowed) ORDER BY k LIMIT 1;
    IF FOUND THEN
        PERFORM fault('/' || v_other, 'there is no such member here; there are: ' || array_to_string(p_allowed, ', '));
    END IF;
END $$;
COMMENT ON FUNCTION check_members(jsonb, text[]) IS 'Refuses a body that is no object or has members that mean nothing.';

CREATE OR REPLACE FUNCTION body_text(p jsonb, p_name text, p_most integer DEFAULT 200) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_value jsonb := p -> 'body' -> p_name;
    v_text text := v_value #>> '{}';
BEGIN
    IF jsonb_typeof(v_value) NOT IN ('string', 'null') THEN
        PERFORM fault('/' || p_name, 'this is a text');
    ELSIF length(v_text) > p_most THEN
        PERFORM fault('/' || p_name, format('at most %s characters', p_most));
    ELSIF v_text ~ '[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f]' THEN
        PERFORM fault('/' || p_name, 'no control characters');
    END IF;
    RETURN nullif(btrim(v_text), '');
END $$;
COMMENT ON FUNCTION body_text(jsonb, text, integer) IS 'A body''s text; null when it is absent, null or blank.';

GRANT EXECUTE ON FUNCTION asked_text, asked_one, asked_some, asked_flag, asked_whole, asked_time, asked_reference, asked_id,
    asked_phone, clause, person_asked, retailer_asked, area_asked, complaint_kinds, follow_up_states, page_of(json[], jsonb), page_of(json[], jsonb[], integer), cursor_time, cursor_number, fault, check_members, body_text,
    reference_is_valid, reference_of, damm_step TO ringback_console;
