-- The calendar at the console: read, and exchanged whole. What its rows mean and what is wrong with them is 25-calendar.sql's.

CREATE OR REPLACE FUNCTION calendar_etag() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(calendar_id, 0) || '-' || closing_minutes FROM branches WHERE branch_id = asker_branch()
$$;
COMMENT ON FUNCTION calendar_etag() IS 'The version of the calendar in force, with what else is changed beside it.';

CREATE OR REPLACE FUNCTION calendar_document(p_from date, p_until date) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('calendar', b.calendar_id, 'timezone', b.timezone, 'closing_minutes', b.closing_minutes, 'made_at', c.made_at,
        'made_by', c.made_by,
        'hours', (SELECT coalesce(jsonb_agg(jsonb_build_object('weekday', h.weekday, 'since', nullif(h.valid_from, '-infinity'),
                         'spans', spans_text(h.begins, h.ends)) ORDER BY h.valid_from, h.weekday), '[]')
                  FROM calendar_hours h WHERE h.branch_id = b.branch_id AND h.calendar_id = b.calendar_id),
        'days', (SELECT coalesce(jsonb_agg(jsonb_build_object('day', d.day, 'what', d.what, 'name', d.name, 'follows', d.follows,
                        'spans', spans_text(d.begins, d.ends)) ORDER BY d.day), '[]')
                 FROM calendar_days d WHERE d.branch_id = b.branch_id AND d.calendar_id = b.calendar_id
                   AND d.day >= coalesce(p_from, d.day) AND d.day <= coalesce(p_until, d.day)))
    FROM branches b LEFT JOIN calendars c USING (branch_id, calendar_id) WHERE b.branch_id = asker_branch()
$$;
COMMENT ON FUNCTION calendar_document(date, date) IS 'The calendar in force, with its days in a range (null: open).';

CREATE OR REPLACE FUNCTION asked_day(p jsonb, p_name text) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p #>> ARRAY['query', p_name] IS NOT NULL AND date_of(p #>> ARRAY['query', p_name]) IS NULL THEN
        PERFORM refuse(400, 'bad-request', format('%s is a day like 2026-10-01', p_name));
    END IF;
    RETURN date_of(p #>> ARRAY['query', p_name]);
END $$;
COMMENT ON FUNCTION asked_day(jsonb, text) IS 'A filter that is a day.';

CREATE OR REPLACE FUNCTION api_get_calendar(p jsonb) RETURNS answer LANGUAGE sql STABLE AS $$
    SELECT answer_json(calendar_document(asked_day(p, 'from'), asked_day(p, 'until')), 200, calendar_etag())
$$;
COMMENT ON FUNCTION api_get_calendar(jsonb) IS 'The calendar in force.';

-- The body's members as the rows that calendar_faults and set_calendar take, each with its pointer.
CREATE OR REPLACE FUNCTION rows_of_body(p_body jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(r.row ORDER BY r.n), '[]') FROM (
        SELECT x.i AS n, jsonb_build_object('at', '/hours/' || x.i - 1, 'what', 'weekly', 'day', coalesce(x.o ->> 'weekday', ''),
                   'hours', (SELECT string_agg(s, ';') FROM jsonb_array_elements_text(x.o -> 'spans') s), 'since', x.o ->> 'since') AS row
        FROM jsonb_array_elements(p_body -> 'hours') WITH ORDINALITY AS x (o, i)
        UNION ALL
        SELECT 1000000 + x.i, jsonb_build_object('at', '/days/' || x.i - 1, 'what', x.o ->> 'what', 'day', coalesce(x.o ->> 'day', ''),
                   'until', x.o ->> 'until', 'hours', (SELECT string_agg(s, ';') FROM jsonb_array_elements_text(x.o -> 'spans') s),
                   'follows', x.o ->> 'follows', 'name', nullif(x.o ->> 'name', ''))
        FROM jsonb_array_elements(p_body -> 'days') WITH ORDINALITY AS x (o, i)) r
$$;
COMMENT ON FUNCTION rows_of_body(jsonb) IS 'The rows of a calendar that a body has.';

CREATE OR REPLACE FUNCTION check_calendar_body(p jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_body jsonb := p -> 'body';
    v_faults jsonb;
BEGIN
    PERFORM check_members(p, '{hours,days,closing_minutes}');
    IF v_body ? 'closing_minutes' AND is_whole(v_body -> 'closing_minutes', 0, 240) IS NOT TRUE THEN
        PERFORM fault('/closing_minutes', 'a whole number of minutes from 0 to 240');
    END IF;
    FOR i IN 1..2 LOOP
        IF jsonb_typeof(v_body -> (ARRAY['hours', 'days'])[i]) IS DISTINCT FROM 'array' THEN
            PERFORM fault('/' || (ARRAY['hours', 'days'])[i], 'a list; the whole of it, since it takes the place of the one before');
        END IF;
    END LOOP;
    SELECT jsonb_agg(jsonb_build_object('pointer', f.pointer, 'code', 'invalid-data', 'detail', f.detail)) INTO v_faults
    FROM (SELECT '/' || m.list || '/' || x.i - 1 || CASE WHEN k.key IS NULL THEN '' ELSE '/' || k.key END AS pointer,
                 CASE WHEN k.key IS NULL THEN 'this is an object' WHEN k.key <> ALL (m.members) THEN 'there is no such member: ' || array_to_string(m.members, ', ')
                      WHEN k.key = 'spans' AND NOT coalesce(jsonb_typeof(k.value) = 'array'
                          AND NOT jsonb_path_exists(k.value, '$[*] ? (@.type() != "string")'), false) THEN 'a list like ["08:30-11:30", "13:30-17:30"]'
                      WHEN k.key <> 'spans' AND jsonb_typeof(k.value) IN ('object', 'array', 'boolean') THEN 'this is a text or a number'
                      WHEN k.key = 'what' AND coalesce(k.value #>> '{}', '') <> ALL ('{holiday,workday,special}') THEN 'holiday, workday or special' END AS detail
          FROM (VALUES ('hours', '{weekday,since,spans}'::text[]), ('days', '{day,until,what,name,follows,spans}')) m (list, members)
          CROSS JOIN LATERAL jsonb_array_elements(v_body -> m.list) WITH ORDINALITY AS x (o, i)
          LEFT JOIN LATERAL jsonb_each(CASE jsonb_typeof(x.o) WHEN 'object' THEN x.o || CASE WHEN m.list = 'days' AND NOT x.o ? 'what' THEN '{"what": null}' ELSE '{}'::jsonb END
                                                             END) AS k (key, value) ON true) f
    WHERE f.detail IS NOT NULL;
    IF v_faults IS NULL THEN
        SELECT jsonb_agg(jsonb_build_object('pointer', f.at || '/' || CASE WHEN f.field = 'hours' THEN 'spans'
                   WHEN f.field = 'day' AND f.at LIKE '/hours/%' THEN 'weekday' ELSE f.field END, 'code', 'invalid-data', 'detail', f.reason)) INTO v_faults
        FROM calendar_faults(rows_of_body(v_body)) f;
    END IF;
    IF v_faults IS NOT NULL THEN
        PERFORM refuse(422, 'invalid-data', format('the calendar is not right: %s: %s', v_faults #>> '{0,pointer}', v_faults #>> '{0,detail}'), v_faults);
    END IF;
END $$;
COMMENT ON FUNCTION check_calendar_body(jsonb) IS 'Refuses a body that is no calendar, with all that is wrong with it.';

CREATE OR REPLACE FUNCTION write_calendar(p_rows jsonb, p_closing integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
BEGIN
    PERFORM set_calendar(asker_branch(), p_rows, asker_actor());
    UPDATE branches SET closing_minutes = p_closing WHERE branch_id = asker_branch() AND closing_minutes <> p_closing;
    IF FOUND THEN
        PERFORM write_audit(asker_branch(), asker_actor(), 'closing-minutes-set', p_closing::text);
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION write_calendar FROM PUBLIC;
GRANT EXECUTE ON FUNCTION write_calendar TO ringback_console;
COMMENT ON FUNCTION write_calendar(jsonb, integer) IS 'Exchanges the calendar of the asker''s branch; null closing minutes stay.';

CREATE OR REPLACE FUNCTION api_put_calendar(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM check_match(p, calendar_etag());
    PERFORM check_calendar_body(p);
    PERFORM write_calendar(rows_of_body(p -> 'body'), (p #>> '{body,closing_minutes}')::integer);
    RETURN answer_json(calendar_document(NULL, NULL), 200, calendar_etag());
END $$;
COMMENT ON FUNCTION api_put_calendar(jsonb) IS 'A calendar in the place of the one in force; empty lists take it away.';

GRANT EXECUTE ON FUNCTION calendar_etag, calendar_document, asked_day, rows_of_body, check_calendar_body, api_get_calendar, api_put_calendar,
    date_of, is_whole, spans_of, calendar_rows, calendar_faults TO ringback_console;
