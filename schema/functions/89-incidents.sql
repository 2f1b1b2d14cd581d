-- Incidents: many complaints about one product, route or event, seen together and answered once. Grouping changes no state, no
-- clock and no owner: each retailer is still called, and whoever calls reads the answer in the follow-up. Nothing is grouped
-- by itself; suggestions only say what looks alike. Reports of offences are never grouped: an incident is read by people who
-- may not know of them.
--
-- Reading runs under row-level security; the writes at the end are the owner's, called after the incident was found so.
-- Locks: the incident, then its follow-ups by id.

CREATE OR REPLACE FUNCTION incident_body(p_incident integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', i.incident_id, 'title', i.title, 'event', i.event, 'category', i.category, 'product', p.code,
        'route', r.code, 'area', a.code, 'opened_at', i.opened_at, 'opened_by', i.opened_by, 'answer', i.answer,
        'answered_at', i.answered_at, 'answered_by', i.answered_by, 'closed_at', i.closed_at, 'closed_by', i.closed_by,
        'follow_ups', n.whole, 'waiting', n.waiting, 'retailers', n.retailers)
    FROM incidents i
    LEFT JOIN products p ON p.branch_id = i.branch_id AND p.product_id = i.product_id
    LEFT JOIN routes r ON r.branch_id = i.branch_id AND r.route_id = i.route_id
    LEFT JOIN areas a ON a.branch_id = i.branch_id AND a.area_id = i.area_id
    CROSS JOIN LATERAL (SELECT count(*) AS whole, count(*) FILTER (WHERE f.state IN ('open', 'acknowledged')) AS waiting,
                               count(DISTINCT f.retailer_id) AS retailers
                        FROM follow_ups f WHERE f.branch_id = i.branch_id AND f.incident_id = i.incident_id) n
    WHERE i.branch_id = asker_branch() AND i.incident_id = p_incident
$$;
GRANT EXECUTE ON FUNCTION incident_body TO ringback_console;
COMMENT ON FUNCTION incident_body(integer) IS 'An incident as the console shows it; its figures are of the follow-ups that who asks may see.';

CREATE OR REPLACE FUNCTION incident_brief(p_incident integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', i.incident_id, 'title', i.title, 'answer', i.answer, 'answered_at', i.answered_at,
                              'answered_by', i.answered_by, 'closed_at', i.closed_at)
    FROM incidents i WHERE i.branch_id = asker_branch() AND i.incident_id = p_incident
$$;
GRANT EXECUTE ON FUNCTION incident_brief TO ringback_console;
COMMENT ON FUNCTION incident_brief(integer) IS 'What a follow-up''s document says of its incident.';

CREATE OR REPLACE FUNCTION asked_incident(p jsonb) RETURNS integer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_id bigint := asked_id(p, 'incident');
BEGIN
    PERFORM FROM incidents WHERE branch_id = asker_branch() AND incident_id = v_id;
    IF NOT FOUND THEN
        PERFORM found_nothing('incident');
    END IF;
    RETURN v_id;
END $$;
GRANT EXECUTE ON FUNCTION asked_incident TO ringback_console;
COMMENT ON FUNCTION asked_incident(jsonb) IS 'The incident in a path; 404 when there is none, or it is not for who asks.';

CREATE OR REPLACE FUNCTION incident_answer(p_incident integer, p_status integer DEFAULT 200) RETURNS answer LANGUAGE sql STABLE AS $$
    SELECT answer_json(incident_body(p_incident), p_status, i.revision::text,
                       CASE WHEN p_status = 201 THEN '/api/v1/incidents/' || p_incident END)
    FROM incidents i WHERE i.branch_id = asker_branch() AND i.incident_id = p_incident
$$;
GRANT EXECUTE ON FUNCTION incident_answer TO ringback_console;
COMMENT ON FUNCTION incident_answer(integer, integer) IS 'An incident as the answer to a request, with its ETag.';

CREATE OR REPLACE FUNCTION api_list_incidents(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_state text := coalesce(asked_one(p, 'state', '{open,closed,any}'), 'open');
    v_answered boolean := asked_flag(p, 'answered');
    v_limit integer := asked_limit(p);
    v_before bigint := cursor_number(asked_cursor(p, 1), 0);
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(to_json(incident_body(i.incident_id)) ORDER BY i.incident_id DESC),
           array_agg(jsonb_build_array(i.incident_id) ORDER BY i.incident_id DESC) INTO v_items, v_keys
    FROM (SELECT x.incident_id FROM incidents x
          WHERE x.branch_id = asker_branch() AND (v_before IS NULL OR x.incident_id < v_before)
            AND (v_state = 'any' OR (x.closed_at IS NULL) = (v_state = 'open'))
            AND (v_answered IS NULL OR (x.answer IS NOT NULL) = v_answered)
          ORDER BY x.incident_id DESC LIMIT v_limit + 1) i;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_incidents(jsonb) IS 'GET /incidents';

CREATE OR REPLACE FUNCTION api_get_incident(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    RETURN incident_answer(asked_incident(p));
END $$;
COMMENT ON FUNCTION api_get_incident(jsonb) IS 'GET /incidents/{id}';

CREATE OR REPLACE FUNCTION api_incident_history(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id integer := asked_incident(p);
    v_limit integer := asked_limit(p);
    v_after bigint := cursor_number(asked_cursor(p, 1), 0);
    v_items json[];
    v_keys jsonb[];
BEGIN
    -- Of very many follow-ups only the first are named.
    SELECT array_agg(json_build_object('at', h.at, 'kind', h.kind, 'by', h.actor, 'details',
               CASE WHEN h.details ? 'follow_ups' THEN jsonb_build_object('count', jsonb_array_length(h.details -> 'follow_ups'),
                   'follow_ups', jsonb_path_query_array(h.details, '$.follow_ups[0 to 199]')) ELSE h.details END) ORDER BY h.history_id),
           array_agg(jsonb_build_array(h.history_id) ORDER BY h.history_id) INTO v_items, v_keys
    FROM (SELECT x.* FROM incident_history x
          WHERE x.branch_id = asker_branch() AND x.incident_id = v_id AND x.history_id > coalesce(v_after, 0)
          ORDER BY x.history_id LIMIT v_limit + 1) h;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_incident_history(jsonb) IS 'GET /incidents/{id}/history';

CREATE OR REPLACE FUNCTION api_incident_cases(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id integer := asked_incident(p);
    v_limit integer := asked_limit(p);
    v_cursor jsonb := asked_cursor(p, 2);
    v_due timestamptz := cursor_time(v_cursor, 0);
    v_after bigint := cursor_number(v_cursor, 1);
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(json_build_object('id', f.follow_up_id, 'complaint', f.complaint::text, 'kind', f.kind, 'category', f.category,
                'state', f.state, 'owner', o.code, 'retailer', r.code, 'raised_at', f.raised_at, 'due_at', f.due_at,
                'contacted_at', f.contacted_at, 'proof', f.proof) ORDER BY f.due_at, f.follow_up_id),
           array_agg(jsonb_build_array(f.due_at, f.follow_up_id) ORDER BY f.due_at, f.follow_up_id) INTO v_items, v_keys
    FROM (SELECT x.* FROM follow_ups x
          WHERE x.branch_id = asker_branch() AND x.incident_id = v_id
            AND (v_due IS NULL OR (x.due_at, x.follow_up_id) > (v_due, v_after))
          ORDER BY x.due_at, x.follow_up_id LIMIT v_limit + 1) f
    LEFT JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
    LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_incident_cases(jsonb) IS 'GET /incidents/{id}/follow-ups';

-- What looks like one thing: promises of the last hours that wait, are in no incident, and share a category together with a
-- product, route or area. The wider group is left out when it holds no more cases than a narrower one.
CREATE OR REPLACE FUNCTION api_suggest_incidents(p jsonb) RETURNS answer LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    v_hours integer := coalesce(asked_whole(p, 'hours', 1, 168), 24);
    v_least integer := coalesce(asked_whole(p, 'least', 2, 1000), 5);
    v_since timestamptz := now() - make_interval(hours => v_hours);
    v_items jsonb;
BEGIN
    WITH waiting AS MATERIALIZED (
        SELECT f.follow_up_id, f.complaint, f.category, f.area_id, f.retailer_id FROM follow_ups f
        WHERE f.branch_id = asker_branch() AND f.raised_at >= v_since AND f.state IN ('open', 'acknowledged')
          AND f.incident_id IS NULL AND f.kind <> 'report'
    ), grouped AS (
        SELECT 1 AS breadth, 'product' AS by, p.code, w.category, array_agg(w.follow_up_id ORDER BY w.follow_up_id) AS ids
            FROM waiting w JOIN complaint_products(v_since, 'infinity') c ON c.complaint = w.complaint
            JOIN products p ON p.branch_id = asker_branch() AND p.product_id = c.product_id GROUP BY p.code, w.category
        UNION ALL
        SELECT 2, 'route', t.code, w.category, array_agg(w.follow_up_id ORDER BY w.follow_up_id)
            FROM waiting w JOIN retailers r ON r.branch_id = asker_branch() AND r.retailer_id = w.retailer_id
            JOIN routes t ON t.branch_id = r.branch_id AND t.route_id = r.route_id GROUP BY t.code, w.category
        UNION ALL
        SELECT 3, 'area', a.code, w.category, array_agg(w.follow_up_id ORDER BY w.follow_up_id)
            FROM waiting w JOIN areas a ON a.branch_id = asker_branch() AND a.area_id = w.area_id GROUP BY a.code, w.category
        UNION ALL
        SELECT 4, 'category', w.category, w.category, array_agg(w.follow_up_id ORDER BY w.follow_up_id)
            FROM waiting w WHERE w.category IS NOT NULL GROUP BY w.category
    ), enough AS MATERIALIZED (
        SELECT g.* FROM grouped g WHERE cardinality(g.ids) >= v_least
    ), told AS (
        SELECT e.* FROM enough e
        WHERE NOT EXISTS (SELECT FROM enough n WHERE n.breadth < e.breadth AND n.category IS NOT DISTINCT FROM e.category AND n.ids = e.ids)
        ORDER BY cardinality(e.ids) DESC, e.breadth, e.code COLLATE "C", e.category COLLATE "C" LIMIT 50
    )
    SELECT jsonb_agg(jsonb_build_object('by', t.by, 'code', t.code, 'category', t.category, 'count', cardinality(t.ids),
               'follow_ups', to_jsonb(t.ids[1:200]),
               'filter', jsonb_strip_nulls(jsonb_build_object('hours', v_hours, 'category', coalesce(t.category, ''), -- '': without one
                   'product', CASE t.by WHEN 'product' THEN t.code END, 'route', CASE t.by WHEN 'route' THEN t.code END,
                   'area', CASE t.by WHEN 'area' THEN t.code END)))
               ORDER BY cardinality(t.ids) DESC, t.breadth, t.code COLLATE "C", t.category COLLATE "C") INTO v_items
    FROM told t;
    RETURN answer_json(jsonb_build_object('items', coalesce(v_items, '[]'), 'next', NULL));
END $$;
COMMENT ON FUNCTION api_suggest_incidents(jsonb) IS 'GET /incidents/suggestions';

-- Writes.

CREATE OR REPLACE FUNCTION note_incident(p_incident integer, p_kind text, p_details jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql AS $$
    INSERT INTO incident_history (branch_id, incident_id, kind, actor, details)
        VALUES (asker_branch(), p_incident, p_kind, asker_actor(), p_details)
$$;
COMMENT ON FUNCTION note_incident(integer, text, jsonb) IS 'One more line in an incident''s history.';

CREATE OR REPLACE FUNCTION note_grouped(p_ids bigint[], p_kind text, p_details jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, by_person_id, details)
        SELECT asker_branch(), x.id, p_kind, asker_person(), p_details FROM unnest(p_ids) AS x (id)
$$;
COMMENT ON FUNCTION note_grouped(bigint[], text, jsonb) IS 'The same line in the histories of several follow-ups.';

-- Whoever changes an incident or what is in it holds this lock.
CREATE OR REPLACE FUNCTION lock_incident(p_incident integer) RETURNS incidents
LANGUAGE plpgsql AS $$
DECLARE
    i incidents;
BEGIN
    SELECT * INTO i FROM incidents WHERE branch_id = asker_branch() AND incident_id = p_incident FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        PERFORM found_nothing('incident');
    ELSIF i.closed_at IS NOT NULL THEN
        PERFORM refuse(409, 'incident-closed', 'this incident is closed: open another one');
    END IF;
    RETURN i;
END $$;
COMMENT ON FUNCTION lock_incident(integer) IS 'The incident to be changed, locked until it is committed; refuses a closed one.';

-- Every owner hears of the answer once, by his most urgent follow-up that still waits. The type is one of the six that targets
-- know; the step says what it is.
CREATE OR REPLACE FUNCTION tell_owners(p_incident integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_ids bigint[];
    v_owners integer[];
    v_codes jsonb;
BEGIN
    WITH told AS MATERIALIZED (
        SELECT DISTINCT c.code FROM incident_history h CROSS JOIN LATERAL jsonb_array_elements_text(h.details -> 'people') AS c (code)
        WHERE h.branch_id = asker_branch() AND h.incident_id = p_incident AND h.kind = 'told'
    ), urgent AS (
        SELECT DISTINCT ON (f.owner_id) f.owner_id, o.code, f.follow_up_id
        FROM follow_ups f JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
        WHERE f.branch_id = asker_branch() AND f.incident_id = p_incident AND f.state IN ('open', 'acknowledged')
        ORDER BY f.owner_id, f.due_at, f.follow_up_id
    )
    SELECT array_agg(u.follow_up_id), array_agg(u.owner_id), jsonb_agg(u.code ORDER BY u.code) INTO v_ids, v_owners, v_codes
    FROM urgent u WHERE u.code NOT IN (SELECT t.code FROM told t);
    IF v_ids IS NULL THEN
        RETURN;
    END IF;
    PERFORM make_notifications(array_fill(asker_branch(), ARRAY[cardinality(v_ids)]), v_ids, array_fill('reminded'::text, ARRAY[cardinality(v_ids)]),
                               array_fill('incident-answer'::text, ARRAY[cardinality(v_ids)]), v_owners);
    PERFORM note_incident(p_incident, 'told', jsonb_build_object('people', v_codes));
END $$;
COMMENT ON FUNCTION tell_owners(integer) IS 'Notifies owners of an incident''s waiting follow-ups who have not heard of its answer.';

CREATE OR REPLACE FUNCTION incident_thing(p jsonb, p_name text, p_table text, p_key text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_code text := said_text(p, p_name, 200, false);
    v_id integer;
BEGIN
    IF v_code IS NOT NULL THEN
        EXECUTE format('SELECT %I FROM %I WHERE branch_id = asker_branch() AND code = $1', p_key, p_table) INTO v_id USING v_code;
        IF v_id IS NULL THEN
            PERFORM fault('/' || p_name, 'nothing has this code');
        END IF;
    END IF;
    RETURN v_id;
END $$;
COMMENT ON FUNCTION incident_thing(jsonb, text, text, text) IS 'The id of what a body names by its code; null when it does not.';

CREATE OR REPLACE FUNCTION open_incident(p jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_id integer;
BEGIN
    PERFORM check_members(p, '{title,event,category,product,route,area}');
    INSERT INTO incidents (branch_id, title, event, category, product_id, route_id, area_id, opened_by)
    VALUES (asker_branch(), said_text(p, 'title', 200), said_text(p, 'event', 4000, false), said_text(p, 'category', 200, false),
            incident_thing(p, 'product', 'products', 'product_id'), incident_thing(p, 'route', 'routes', 'route_id'),
            incident_thing(p, 'area', 'areas', 'area_id'), asker_actor())
    RETURNING incident_id INTO v_id;
    PERFORM note_incident(v_id, 'opened', p -> 'body');
    RETURN v_id;
END $$;
COMMENT ON FUNCTION open_incident(jsonb) IS 'A new incident, with no complaint in it.';

CREATE OR REPLACE FUNCTION change_incident(p_incident integer, p jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    i incidents := lock_incident(p_incident);
    b jsonb := p -> 'body';
BEGIN
    PERFORM check_match(p, i.revision::text), check_members(p, '{title,event,category,product,route,area}');
    UPDATE incidents SET
        title = CASE WHEN b ? 'title' THEN said_text(p, 'title', 200) ELSE title END,
        event = CASE WHEN b ? 'event' THEN said_text(p, 'event', 4000, false) ELSE event END,
        category = CASE WHEN b ? 'category' THEN said_text(p, 'category', 200, false) ELSE category END,
        product_id = CASE WHEN b ? 'product' THEN incident_thing(p, 'product', 'products', 'product_id') ELSE product_id END,
        route_id = CASE WHEN b ? 'route' THEN incident_thing(p, 'route', 'routes', 'route_id') ELSE route_id END,
        area_id = CASE WHEN b ? 'area' THEN incident_thing(p, 'area', 'areas', 'area_id') ELSE area_id END,
        revision = revision + 1
        WHERE branch_id = i.branch_id AND incident_id = i.incident_id;
    PERFORM note_incident(p_incident, 'changed', b);
END $$;
COMMENT ON FUNCTION change_incident(integer, jsonb) IS 'Says anew what an incident is about; its answer is never changed.';

-- p_ids: what the caller has seen under row-level security. Already grouped here: nothing happens to it.
CREATE OR REPLACE FUNCTION group_follow_ups(p_incident integer, p_ids bigint[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    i incidents := lock_incident(p_incident);
    v_free bigint[];
    v_taken jsonb;
BEGIN
    SELECT array_agg(f.follow_up_id) FILTER (WHERE f.incident_id IS NULL),
           jsonb_agg(jsonb_build_object('pointer', '/ids/' || f.place, 'code', 'in-another-incident',
               'detail', format('it is in incident %s: take it out there first', f.incident_id)) ORDER BY f.place)
               FILTER (WHERE f.incident_id <> p_incident)
        INTO v_free, v_taken
    FROM (SELECT x.follow_up_id, x.incident_id, array_position(p_ids, x.follow_up_id) - 1 AS place FROM follow_ups x
          WHERE x.branch_id = i.branch_id AND x.follow_up_id = ANY (p_ids) AND x.kind <> 'report'
          ORDER BY x.follow_up_id FOR NO KEY UPDATE) f;
    IF v_taken IS NOT NULL THEN
        PERFORM refuse(409, 'in-another-incident', 'some of these follow-ups are in another incident', v_taken);
    ELSIF v_free IS NULL THEN
        RETURN 0;
    END IF;
    UPDATE follow_ups SET incident_id = p_incident WHERE branch_id = i.branch_id AND follow_up_id = ANY (v_free);
    UPDATE incidents SET revision = revision + 1 WHERE branch_id = i.branch_id AND incident_id = p_incident;
    PERFORM note_grouped(v_free, 'grouped', jsonb_build_object('incident', p_incident, 'title', i.title)),
            note_incident(p_incident, 'grouped', jsonb_build_object('follow_ups', v_free));
    IF i.answer IS NOT NULL THEN
        PERFORM note_grouped(v_free, 'incident-answered', jsonb_build_object('incident', p_incident, 'answer', i.answer)), tell_owners(p_incident);
    END IF;
    RETURN cardinality(v_free);
END $$;
COMMENT ON FUNCTION group_follow_ups(integer, bigint[]) IS 'Puts follow-ups into an incident; says how many were not in it before.';

CREATE OR REPLACE FUNCTION ungroup_follow_up(p_incident integer, p_follow_up bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    i incidents := lock_incident(p_incident);
BEGIN
    UPDATE follow_ups SET incident_id = NULL
        WHERE branch_id = i.branch_id AND follow_up_id = p_follow_up AND incident_id = p_incident;
    IF NOT FOUND THEN
        PERFORM found_nothing('follow-up in this incident');
    END IF;
    UPDATE incidents SET revision = revision + 1 WHERE branch_id = i.branch_id AND incident_id = p_incident;
    PERFORM note_grouped(ARRAY[p_follow_up], 'ungrouped', jsonb_build_object('incident', p_incident, 'title', i.title)),
            note_incident(p_incident, 'removed', jsonb_build_object('follow_ups', ARRAY[p_follow_up]));
END $$;
COMMENT ON FUNCTION ungroup_follow_up(integer, bigint) IS 'Takes a follow-up out of an incident.';

CREATE OR REPLACE FUNCTION settle_incident(p_incident integer, p_answer text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    i incidents := lock_incident(p_incident);
BEGIN
    IF i.answer IS NOT NULL THEN
        PERFORM refuse(409, 'already-answered', format('%s answered it, and people may have been told so: open another incident for another answer',
                                                       i.answered_by));
    END IF;
    UPDATE incidents SET answer = p_answer, answered_at = now(), answered_by = asker_actor(), revision = revision + 1
        WHERE branch_id = i.branch_id AND incident_id = p_incident;
    PERFORM note_incident(p_incident, 'answered', jsonb_build_object('answer', p_answer)),
            note_grouped(ARRAY(SELECT f.follow_up_id FROM follow_ups f WHERE f.branch_id = i.branch_id AND f.incident_id = p_incident
                               ORDER BY f.follow_up_id), 'incident-answered', jsonb_build_object('incident', p_incident, 'answer', p_answer)),
            tell_owners(p_incident), write_audit(i.branch_id, asker_actor(), 'incident-answer', p_incident::text);
END $$;
COMMENT ON FUNCTION settle_incident(integer, text) IS 'Writes the answer of an incident, once, into all its follow-ups.';

CREATE OR REPLACE FUNCTION close_incident(p_incident integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    i incidents := lock_incident(p_incident);
BEGIN
    UPDATE incidents SET closed_at = now(), closed_by = asker_actor(), revision = revision + 1
        WHERE branch_id = i.branch_id AND incident_id = p_incident;
    PERFORM note_incident(p_incident, 'closed');
END $$;
COMMENT ON FUNCTION close_incident(integer) IS 'Nothing more joins an incident; its follow-ups go on as they were.';
GRANT EXECUTE ON FUNCTION open_incident, change_incident, group_follow_ups, ungroup_follow_up, settle_incident, close_incident TO ringback_console;

CREATE OR REPLACE FUNCTION api_open_incident(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id integer := open_incident(p);
BEGIN
    RETURN incident_answer(v_id, 201);
END $$;
COMMENT ON FUNCTION api_open_incident(jsonb) IS 'POST /incidents';

CREATE OR REPLACE FUNCTION api_change_incident(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id integer := asked_incident(p);
BEGIN
    PERFORM change_incident(v_id, p);
    RETURN incident_answer(v_id);
END $$;
COMMENT ON FUNCTION api_change_incident(jsonb) IS 'PATCH /incidents/{id}';

-- Body: at most 5,000 "ids" of follow-ups, or a "filter" of those that wait now, at most 20,000.
CREATE OR REPLACE FUNCTION api_group_follow_ups(p jsonb) RETURNS answer LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    v_id integer := asked_incident(p);
    v_asked jsonb := p #> '{body,filter}';
    v_hours integer;
    v_since timestamptz;
    v_ids bigint[];
    v_missing jsonb;
    v_grouped integer;
    v_answer answer;
BEGIN
    PERFORM check_members(p, '{ids,filter}');
    IF (p -> 'body' ? 'ids') = (p -> 'body' ? 'filter') THEN
        PERFORM refuse(422, 'invalid-data', 'name the follow-ups by "ids" or by a "filter", one of both');
    ELSIF v_asked IS NOT NULL THEN
        PERFORM check_members(jsonb_build_object('body', v_asked), '{hours,category,product,route,area,retailer}');
        IF (SELECT bool_or(jsonb_typeof(x.value) <> 'string' OR x.value = '""' AND x.key <> 'category')
            FROM jsonb_each(v_asked - 'hours') x) THEN
            PERFORM fault('/filter', 'category (empty: without one), product, route, area and retailer are codes');
        ELSIF v_asked - 'hours' = '{"category": ""}' THEN
            PERFORM fault('/filter', 'without a category, name a product, route, area or retailer as well');
        ELSIF v_asked - 'hours' = '{}' THEN
            PERFORM fault('/filter', 'name at least one of category, product, route, area, retailer');
        END IF;
        v_hours := CASE WHEN v_asked ? 'hours' THEN said_whole(jsonb_build_object('body', v_asked), 'hours', 1, 168) ELSE 24 END;
        v_since := now() - make_interval(hours => v_hours);
        EXECUTE format('SELECT array_agg(x.follow_up_id) FROM (SELECT f.follow_up_id FROM follow_ups f WHERE %s AND f.incident_id IS NULL
                            AND f.kind <> ''report'' AND f.state IN (''open'', ''acknowledged'') ORDER BY f.follow_up_id LIMIT 20000) x',
                       figure_filter(v_asked - 'hours', v_since, 'infinity')) INTO v_ids;
    ELSE
        IF jsonb_typeof(p #> '{body,ids}') <> 'array' OR jsonb_array_length(p #> '{body,ids}') NOT BETWEEN 1 AND 5000
            OR (SELECT bool_or(jsonb_typeof(x) <> 'number' OR x::text !~ '^[0-9]{1,18}$') FROM jsonb_array_elements(p #> '{body,ids}') x) THEN
            PERFORM fault('/ids', 'an array of 1 to 5,000 ids of follow-ups');
        END IF;
        SELECT array_agg(x.id::text::bigint ORDER BY x.n) INTO v_ids FROM jsonb_array_elements(p #> '{body,ids}') WITH ORDINALITY AS x (id, n);
        SELECT jsonb_agg(jsonb_build_object('pointer', '/ids/' || x.n - 1, 'code', 'unknown-follow-up',
                   'detail', 'there is no such follow-up, it is not yours to see, or it is a report, which is never grouped') ORDER BY x.n)
            INTO v_missing
        FROM unnest(v_ids) WITH ORDINALITY AS x (id, n)
        LEFT JOIN follow_ups f ON f.branch_id = asker_branch() AND f.follow_up_id = x.id AND f.kind <> 'report'
        WHERE f.follow_up_id IS NULL;
        IF v_missing IS NOT NULL THEN
            PERFORM refuse(422, 'invalid-data', 'some of these cannot be grouped', v_missing);
        END IF;
    END IF;
    v_grouped := CASE WHEN v_ids IS NULL THEN 0 ELSE group_follow_ups(v_id, v_ids) END;
    v_answer := incident_answer(v_id);
    v_answer.body := jsonb_build_object('grouped', v_grouped, 'incident', v_answer.body::jsonb)::text;
    RETURN v_answer;
END $$;
COMMENT ON FUNCTION api_group_follow_ups(jsonb) IS 'POST /incidents/{id}/follow-ups';

CREATE OR REPLACE FUNCTION api_ungroup_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id integer := asked_incident(p);
    v_follow_up bigint := asked_id(jsonb_build_object('path', jsonb_build_object('id', p #> '{path,follow_up}')), 'follow-up');
BEGIN
    PERFORM FROM follow_ups f WHERE f.branch_id = asker_branch() AND f.follow_up_id = v_follow_up;
    IF NOT FOUND THEN
        PERFORM found_nothing('follow-up in this incident');
    END IF;
    PERFORM ungroup_follow_up(v_id, v_follow_up);
    RETURN (204, NULL, NULL, NULL, NULL, NULL, NULL)::answer;
END $$;
COMMENT ON FUNCTION api_ungroup_follow_up(jsonb) IS 'DELETE /incidents/{id}/follow-ups/{follow_up}';

CREATE OR REPLACE FUNCTION api_answer_incident(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id integer := asked_incident(p);
BEGIN
    PERFORM check_members(p, '{answer}');
    PERFORM settle_incident(v_id, said_text(p, 'answer', 4000));
    RETURN incident_answer(v_id);
END $$;
COMMENT ON FUNCTION api_answer_incident(jsonb) IS 'POST /incidents/{id}/answer';

CREATE OR REPLACE FUNCTION api_close_incident(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id integer := asked_incident(p);
BEGIN
    PERFORM close_incident(v_id);
    RETURN incident_answer(v_id);
END $$;
COMMENT ON FUNCTION api_close_incident(jsonb) IS 'POST /incidents/{id}/close';
GRANT EXECUTE ON FUNCTION api_list_incidents, api_get_incident, api_incident_history, api_incident_cases, api_suggest_incidents, api_open_incident,
    api_change_incident, api_group_follow_ups, api_ungroup_follow_up, api_answer_incident, api_close_incident TO ringback_console;
COMMENT ON COLUMN incident_history.details IS 'grouped and removed: "follow_ups"; told: "people", the codes of owners who heard of the answer.';
