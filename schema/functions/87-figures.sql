-- Figures of the promise, counted from the follow-ups themselves, under row-level security: nobody's figure holds a case that
-- he may not see. Figures, filters and cases are made of the same texts (figure_meanings, figure_filter), so that as many
-- cases as a figure says can be listed.
--
-- A figure's period is of the moments at which promises were made (raised_at), by the branch's clock. A follow-up that was
-- merged into another is counted with that one; one that was closed without a contact (a missed call whose caller got
-- through) needed none. A reopened one is a promise that waits again, on its first clock.

CREATE OR REPLACE FUNCTION figure_promised() RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'f.merged_into IS NULL AND (f.contacted_at IS NOT NULL OR f.state <> ''closed'')'
$$;
GRANT EXECUTE ON FUNCTION figure_promised TO ringback_console;
COMMENT ON FUNCTION figure_promised() IS 'The condition on follow_ups f that it is a promise of its own: not merged, and not closed without need of a call.';

DROP FUNCTION IF EXISTS figure_meanings();
CREATE FUNCTION figure_meanings() RETURNS TABLE (figure text, timed boolean, condition text)
LANGUAGE sql IMMUTABLE AS $$
    VALUES ('raised', true, 'true'),
           ('merged', true, 'f.merged_into IS NOT NULL'),
           ('made', true, figure_promised()),
           ('kept', true, figure_promised() || ' AND f.contacted_at <= f.due_at'),
           ('late', true, figure_promised() || ' AND f.contacted_at > f.due_at'),
           ('open', true, figure_promised() || ' AND f.contacted_at IS NULL AND f.due_at > now()'),
           ('overdue', true, figure_promised() || ' AND f.contacted_at IS NULL AND f.due_at <= now()'),
           ('proved', true, figure_promised() || ' AND f.proof = ''proved'''),
           ('recorded', true, figure_promised() || ' AND f.proof = ''recorded'''),
           ('visited', true, figure_promised() || ' AND (f.satisfied IS NOT NULL OR f.reopened > 0)'),
           ('satisfied_first', true, figure_promised() || ' AND f.satisfied AND f.reopened = 0'),
           ('acknowledged', true, figure_promised() || ' AND f.acknowledged_at IS NOT NULL'),
           ('tried', true, figure_promised() || ' AND least(f.first_try_at, f.contacted_at) IS NOT NULL'),
           ('contacted', true, figure_promised() || ' AND f.contacted_at IS NOT NULL'),
           ('needless', true, 'f.merged_into IS NULL AND f.contacted_at IS NULL AND f.state = ''closed'''),
           ('load', false, 'f.state <> ''closed'''),
           ('load_waiting', false, 'f.state IN (''open'', ''acknowledged'')'),
           ('load_overdue', false, 'f.state IN (''open'', ''acknowledged'') AND f.due_at <= now()'),
           ('load_due_soon', false, 'f.state IN (''open'', ''acknowledged'') AND f.due_at > now() AND f.due_at <= now() + interval ''3 hours'''),
           ('load_unacknowledged', false, 'f.state = ''open''')
$$;
GRANT EXECUTE ON FUNCTION figure_meanings TO ringback_console;
COMMENT ON FUNCTION figure_meanings() IS 'What each figure counts, as a condition on follow_ups f; timed: within a period, else as it is now.';

CREATE OR REPLACE FUNCTION asker_timezone() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT timezone FROM branches WHERE branch_id = asker_branch()
$$;
GRANT EXECUTE ON FUNCTION asker_timezone TO ringback_console;
COMMENT ON FUNCTION asker_timezone() IS 'The clock of the asker''s branch.';

CREATE OR REPLACE FUNCTION asked_date(p jsonb, p_name text) RETURNS date LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := p #>> ARRAY['query', p_name];
BEGIN
    IF v_text !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN
        PERFORM refuse(400, 'bad-request', p_name || ' is a date: 2026-11-30');
    END IF;
    RETURN v_text::date;
EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format THEN
    PERFORM refuse(400, 'bad-request', p_name || ' is no day of the calendar');
END $$;
GRANT EXECUTE ON FUNCTION asked_date TO ringback_console;
COMMENT ON FUNCTION asked_date(jsonb, text) IS 'A parameter that is a date, or null.';

CREATE OR REPLACE FUNCTION asked_period(p jsonb, OUT first_day date, OUT last_day date, OUT begins timestamptz, OUT ends timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_today date := (now() AT TIME ZONE asker_timezone())::date;
BEGIN
    last_day := coalesce(asked_date(p, 'to'), v_today);
    first_day := coalesce(asked_date(p, 'from'), date_trunc('month', least(last_day, v_today))::date);
    IF last_day < first_day OR last_day - first_day > 399 THEN
        PERFORM refuse(400, 'bad-request', 'from and to are the first and the last day of a period of at most 400 days');
    END IF;
    begins := first_day::timestamp AT TIME ZONE asker_timezone();
    ends := (last_day + 1)::timestamp AT TIME ZONE asker_timezone();
END $$;
GRANT EXECUTE ON FUNCTION asked_period TO ringback_console;
COMMENT ON FUNCTION asked_period(jsonb) IS 'The period from..to, both days whole by the branch''s clock; without them this month until today.';

-- Orders that complaints are about, seen from here only as what they say of who took them and what was in them; rows of
-- follow_ups, which the caller joins, decide what he sees.
CREATE OR REPLACE FUNCTION complaint_operators(p_begins timestamptz, p_ends timestamptz) RETURNS TABLE (complaint bigint, operator text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp ROWS 10000 AS $$
    SELECT c.reference, o.operator_code
    FROM follow_ups f
    JOIN complaints c ON c.branch_id = f.branch_id AND c.reference = f.complaint
    JOIN orders o ON o.branch_id = c.branch_id AND o.reference = c.order_reference
    WHERE f.branch_id = asker_branch() AND f.raised_at >= p_begins AND f.raised_at < p_ends AND o.operator_code IS NOT NULL
$$;
REVOKE EXECUTE ON FUNCTION complaint_operators FROM PUBLIC;
GRANT EXECUTE ON FUNCTION complaint_operators TO ringback_console;
COMMENT ON FUNCTION complaint_operators(timestamptz, timestamptz) IS 'Who took the orders that the complaints of a period are about.';

CREATE OR REPLACE FUNCTION complaint_products(p_begins timestamptz, p_ends timestamptz) RETURNS TABLE (complaint bigint, product_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp ROWS 10000 AS $$
    SELECT f.complaint, i.product_id
    FROM follow_ups f JOIN incidents i ON i.branch_id = f.branch_id AND i.incident_id = f.incident_id
    WHERE f.branch_id = asker_branch() AND f.raised_at >= p_begins AND f.raised_at < p_ends AND i.product_id IS NOT NULL
    UNION ALL
    SELECT f.complaint, l.product_id
    FROM follow_ups f
    JOIN complaints c ON c.branch_id = f.branch_id AND c.reference = f.complaint
    JOIN order_lines l ON l.branch_id = c.branch_id AND l.reference = c.order_reference
    LEFT JOIN incidents i ON i.branch_id = f.branch_id AND i.incident_id = f.incident_id
    WHERE f.branch_id = asker_branch() AND f.raised_at >= p_begins AND f.raised_at < p_ends AND i.product_id IS NULL
$$;
REVOKE EXECUTE ON FUNCTION complaint_products FROM PUBLIC;
GRANT EXECUTE ON FUNCTION complaint_products TO ringback_console;
COMMENT ON FUNCTION complaint_products(timestamptz, timestamptz) IS
    'Products that the complaints of a period are about: their incident''s, else each product of the order they name.';

-- A filter's value as SQL: codes become ids; '' is "none" (a promise without an owner, a complaint without a category).
CREATE OR REPLACE FUNCTION figure_code(p_name text, p_column text, p_table text, p_key text, p_code text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_id integer;
BEGIN
    IF p_code = '' THEN
        RETURN format(' AND %s IS NULL', p_column);
    END IF;
    EXECUTE format('SELECT %I FROM %I WHERE branch_id = asker_branch() AND code = $1', p_key, p_table) INTO v_id USING p_code;
    IF v_id IS NULL THEN
        PERFORM refuse(400, 'bad-request', format('%s: nothing has this code', p_name));
    END IF;
    RETURN format(' AND %s = %s', p_column, v_id);
END $$;
GRANT EXECUTE ON FUNCTION figure_code TO ringback_console;
COMMENT ON FUNCTION figure_code(text, text, text, text, text) IS 'A condition that a column holds what has this code.';

CREATE OR REPLACE FUNCTION figure_choice(p_name text, p_column text, p_values text[], p_value text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_value <> '' AND p_value <> ALL (p_values) THEN
        PERFORM refuse(400, 'bad-request', format('%s is one of %s', p_name, array_to_string(p_values, ', ')));
    END IF;
    RETURN CASE WHEN p_value = '' THEN format(' AND %s IS NULL', p_column) ELSE format(' AND %s = %L', p_column, p_value) END;
END $$;
GRANT EXECUTE ON FUNCTION figure_choice TO ringback_console;
COMMENT ON FUNCTION figure_choice(text, text, text[], text) IS 'A condition that a column holds one of some values; without any, every value is one.';

-- The filters of a request as one condition on follow_ups f. Retailers and orders are asked only when a filter is about them.
CREATE OR REPLACE FUNCTION figure_filter(p_query jsonb, p_begins timestamptz, p_ends timestamptz) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_where text := format('f.branch_id = %s', asker_branch());
    v_shop text := ' AND %s (SELECT FROM retailers r WHERE r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id AND r.%s)';
    k record;
BEGIN
    IF p_begins IS NOT NULL THEN
        v_where := v_where || format(' AND f.raised_at >= %L AND f.raised_at < %L', p_begins, p_ends);
    END IF;
    FOR k IN SELECT key, value FROM jsonb_each_text(p_query) ORDER BY key LOOP
        CASE k.key
        WHEN 'manager' THEN v_where := v_where || figure_code('manager', 'f.owner_id', 'people', 'person_id', k.value);
        WHEN 'area' THEN v_where := v_where || figure_code('area', 'f.area_id', 'areas', 'area_id', k.value);
        WHEN 'retailer' THEN v_where := v_where || figure_code('retailer', 'f.retailer_id', 'retailers', 'retailer_id', k.value);
        WHEN 'category' THEN v_where := v_where || figure_choice('category', 'f.category', ARRAY[k.value], k.value);
        WHEN 'root_cause' THEN v_where := v_where || figure_choice('root_cause', 'f.root_cause', ARRAY[k.value], k.value);
        WHEN 'valid' THEN v_where := v_where || figure_choice('valid', 'f.valid', '{true,false}', k.value);
        WHEN 'kind' THEN v_where := v_where || figure_choice('kind', 'f.kind', '{complaint,opinion,request,suggestion,inquiry,report}', k.value);
        -- "none" holds for a caller who is no known shop too
        WHEN 'class' THEN
            PERFORM figure_choice('class', 'r.class', '{key,ordinary}', k.value);
            v_where := v_where || CASE WHEN k.value = '' THEN format(v_shop, 'NOT EXISTS', 'class IS NOT NULL')
                                       ELSE format(v_shop, 'EXISTS', format('class = %L', k.value)) END;
        WHEN 'route' THEN
            v_where := v_where || CASE WHEN k.value = '' THEN format(v_shop, 'NOT EXISTS', 'route_id IS NOT NULL')
                ELSE format(v_shop, 'EXISTS', substr(figure_code('route', 'route_id', 'routes', 'route_id', k.value), 6)) END;
        WHEN 'operator' THEN v_where := v_where || format(' AND f.complaint IN (SELECT o.complaint FROM complaint_operators(%L, %L) o
                                                            WHERE o.operator = %L)', p_begins, p_ends, k.value);
        WHEN 'product' THEN v_where := v_where || format(' AND f.complaint IN (SELECT o.complaint FROM complaint_products(%L, %L) o WHERE true%s)',
                                                         p_begins, p_ends, figure_code('product', 'o.product_id', 'products', 'product_id', k.value));
        ELSE NULL;
        END CASE;
    END LOOP;
    RETURN v_where;
END $$;
GRANT EXECUTE ON FUNCTION figure_filter TO ringback_console;
COMMENT ON FUNCTION figure_filter(jsonb, timestamptz, timestamptz) IS
    'The condition on follow_ups f that a request''s filters mean, within a period (null: at any time); values that are none are refused.';

CREATE OR REPLACE FUNCTION figure_link(p_query jsonb, p_more jsonb) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '/api/v1/figures/cases?' || string_agg(x.key || '=' || uri_segment(x.value), '&' ORDER BY x.key)
    FROM jsonb_each_text((SELECT coalesce(jsonb_object_agg(q.key, q.value), '{}') FROM jsonb_each(p_query) q
                          WHERE q.key IN ('manager', 'area', 'retailer', 'category', 'root_cause', 'valid', 'kind', 'class', 'route',
                                          'operator', 'product')) || p_more) x
$$;
GRANT EXECUTE ON FUNCTION figure_link TO ringback_console;
COMMENT ON FUNCTION figure_link(jsonb, jsonb) IS 'Where the cases of a figure are listed: the request''s filters and these parameters besides.';

CREATE OR REPLACE FUNCTION figure_share(p_part bigint, p_whole bigint) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT round(p_part::numeric / nullif(p_whole, 0), 4)
$$;
GRANT EXECUTE ON FUNCTION figure_share TO ringback_console;
COMMENT ON FUNCTION figure_share(bigint, bigint) IS 'A share of 0 to 1 with four digits, or null of nothing.';

-- What a group is called: its code (the text that filters take), its name, and what narrows the cases to it.
CREATE OR REPLACE FUNCTION figure_group(p_by text, p_key text, p_first date, p_last date, OUT code text, OUT name text, OUT listed boolean, OUT narrow jsonb)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    listed := true;
    IF p_by = 'week' THEN
        code := to_char(p_key::date, 'IYYY-"W"IW');
        narrow := jsonb_build_object('from', greatest(p_key::date, p_first), 'to', least(p_key::date + 6, p_last));
        RETURN;
    ELSIF p_by = 'manager' THEN
        SELECT x.code, x.name INTO code, name FROM people x WHERE x.branch_id = asker_branch() AND x.person_id = p_key::integer;
    ELSIF p_by = 'area' THEN
        SELECT x.code INTO code FROM areas x WHERE x.branch_id = asker_branch() AND x.area_id = p_key::integer;
    ELSIF p_by = 'route' THEN
        SELECT x.code INTO code FROM routes x WHERE x.branch_id = asker_branch() AND x.route_id = p_key::integer;
    ELSIF p_by = 'retailer' THEN
        SELECT x.code, x.name INTO code, name FROM retailers x WHERE x.branch_id = asker_branch() AND x.retailer_id = p_key::integer;
    ELSIF p_by = 'product' THEN
        SELECT x.code, x.name INTO code, name FROM products x WHERE x.branch_id = asker_branch() AND x.product_id = p_key::integer;
    ELSIF p_by = 'operator' THEN
        code := p_key;
        SELECT x.name INTO name FROM people x WHERE x.branch_id = asker_branch() AND x.code = p_key;
    ELSIF p_by = 'category' THEN
        code := p_key;
        SELECT x.zh INTO name FROM categories x WHERE x.branch_id = asker_branch() AND x.code = p_key;
        listed := p_key IS NULL OR FOUND;
    ELSE
        code := p_key;
    END IF;
    narrow := jsonb_build_object('from', p_first, 'to', p_last, p_by, coalesce(code, ''));
END $$;
GRANT EXECUTE ON FUNCTION figure_group TO ringback_console;
COMMENT ON FUNCTION figure_group(text, text, date, date) IS 'The code and name of a group of figures, whether it is listed, and the parameters that narrow the cases to it.';

-- One row for each group and one (whole) for all together. counts: of the timed figures in their order; the others: median and
-- nine tenths, in seconds.
DROP FUNCTION IF EXISTS promise_figures(jsonb, text, timestamptz, timestamptz);
CREATE FUNCTION promise_figures(p_query jsonb, p_by text, p_begins timestamptz, p_ends timestamptz)
RETURNS TABLE (key text, whole boolean, counts bigint[], to_acknowledge integer[], to_try integer[], to_contact integer[])
LANGUAGE plpgsql STABLE SET work_mem = '64MB' SET jit = off AS $$
DECLARE
    v_key text := CASE p_by WHEN 'manager' THEN 'f.owner_id' WHEN 'area' THEN 'f.area_id' WHEN 'category' THEN 'f.category'
                            WHEN 'kind' THEN 'f.kind' WHEN 'class' THEN 'r.class' WHEN 'route' THEN 'r.route_id'
                            WHEN 'week' THEN format('date_trunc(''week'', f.raised_at AT TIME ZONE %L)::date', asker_timezone()) END;
    v_counts text;
BEGIN
    SELECT string_agg(format('count(*) FILTER (WHERE %s)', m.condition), ', ' ORDER BY m.n) INTO v_counts
        FROM figure_meanings() WITH ORDINALITY AS m (figure, timed, condition, n) WHERE m.timed;
    RETURN QUERY EXECUTE format($q$
        SELECT (%1$s)::text, grouping(%1$s) = 1, ARRAY[%2$s],
               percentile_disc('{0.5,0.9}'::float8[]) WITHIN GROUP (ORDER BY greatest(0, date_part('epoch', f.acknowledged_at - f.raised_at)::integer))
                   FILTER (WHERE %5$s AND f.acknowledged_at IS NOT NULL),
               percentile_disc('{0.5,0.9}'::float8[]) WITHIN GROUP (ORDER BY greatest(0, date_part('epoch', least(f.first_try_at, f.contacted_at) - f.raised_at)::integer))
                   FILTER (WHERE %5$s AND least(f.first_try_at, f.contacted_at) IS NOT NULL),
               percentile_disc('{0.5,0.9}'::float8[]) WITHIN GROUP (ORDER BY greatest(0, date_part('epoch', f.contacted_at - f.raised_at)::integer))
                   FILTER (WHERE %5$s AND f.contacted_at IS NOT NULL)
        FROM follow_ups f %3$s WHERE %4$s GROUP BY GROUPING SETS ((%1$s), ())
        $q$, v_key, v_counts,
        CASE WHEN p_by IN ('class', 'route') THEN 'LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id' END,
        figure_filter(p_query, p_begins, p_ends), figure_promised());
END $$;
GRANT EXECUTE ON FUNCTION promise_figures TO ringback_console;
COMMENT ON FUNCTION promise_figures(jsonb, text, timestamptz, timestamptz) IS 'Counts and times of a period''s promises by group.';

CREATE OR REPLACE FUNCTION figure_cells(p_query jsonb, p_timed boolean, p_narrow jsonb, p_counts bigint[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_object_agg(m.figure, jsonb_build_object('count', p_counts[m.n],
                'cases', figure_link(p_query, p_narrow || jsonb_build_object('figure', m.figure))))
    FROM (SELECT x.figure, row_number() OVER (ORDER BY x.n) AS n
          FROM figure_meanings() WITH ORDINALITY AS x (figure, timed, condition, n) WHERE x.timed = p_timed) m
$$;
GRANT EXECUTE ON FUNCTION figure_cells TO ringback_console;
COMMENT ON FUNCTION figure_cells(jsonb, boolean, jsonb, bigint[]) IS 'The counts of a group, each with the address of its cases.';

CREATE OR REPLACE FUNCTION figure_times(p_count bigint, p_times integer[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('count', p_count, 'median_seconds', p_times[1], 'p90_seconds', p_times[2])
$$;
GRANT EXECUTE ON FUNCTION figure_times TO ringback_console;
COMMENT ON FUNCTION figure_times(bigint, integer[]) IS 'How long something took: of how many, the median and nine tenths of them.';

-- The order of counts is that of figure_meanings: 3 made, 4 kept, 5 late, 7 overdue, 8 proved, 9 recorded, 10 visited, 11 satisfied_first.
CREATE OR REPLACE FUNCTION promise_group(p_query jsonb, p_narrow jsonb, p_counts bigint[], p_acknowledge integer[], p_try integer[],
                                         p_contact integer[]) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('figures', figure_cells(p_query, true, p_narrow, p_counts),
        'shares', jsonb_build_object(
            'kept', figure_share(p_counts[4], p_counts[4] + p_counts[5] + p_counts[7]),
            'proved', figure_share(p_counts[8], p_counts[8] + p_counts[9]),
            'satisfied_first', figure_share(p_counts[11], p_counts[10])),
        'times', jsonb_build_object('acknowledge', figure_times(p_counts[12], p_acknowledge), 'try', figure_times(p_counts[13], p_try),
                                    'contact', figure_times(p_counts[14], p_contact)))
$$;
GRANT EXECUTE ON FUNCTION promise_group TO ringback_console;
COMMENT ON FUNCTION promise_group(jsonb, jsonb, bigint[], integer[], integer[], integer[]) IS
    'The figures of a group: counts with their cases, shares, times.';

CREATE OR REPLACE FUNCTION api_promise_figures(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_query jsonb := coalesce(p -> 'query', '{}');
    v_by text := coalesce(p #>> '{query,by}', 'manager');
    v_csv boolean := asked_csv(p);
    v_limit integer := CASE WHEN v_csv THEN NULL ELSE asked_limit(p) END;
    v_after jsonb := asked_cursor(p, 1);
    v_period record := asked_period(p);
    v_total jsonb;
    v_items jsonb;
    v_lines jsonb;
    v_next text;
BEGIN
    IF v_by <> ALL ('{manager,area,category,week,kind,class,route}') THEN
        PERFORM refuse(400, 'bad-request', 'by is manager, area, category, week, kind, class or route');
    END IF;
    WITH figures AS MATERIALIZED (
        SELECT x.*, g.code, g.name, g.listed,
               CASE WHEN x.whole THEN jsonb_build_object('from', v_period.first_day, 'to', v_period.last_day) ELSE g.narrow END AS narrow
        FROM promise_figures(v_query, v_by, v_period.begins, v_period.ends) x
        CROSS JOIN LATERAL figure_group(v_by, x.key, v_period.first_day, v_period.last_day) g
    ), page AS MATERIALIZED (
        SELECT f.*, row_number() OVER (ORDER BY coalesce(f.code, '') COLLATE "C") AS n FROM figures f
        WHERE NOT f.whole AND (v_after IS NULL OR coalesce(f.code, '') COLLATE "C" > v_after ->> 0)
        ORDER BY n LIMIT v_limit + 1
    )
    SELECT (SELECT promise_group(v_query, f.narrow, f.counts, f.to_acknowledge, f.to_try, f.to_contact) FROM figures f WHERE f.whole),
           CASE WHEN NOT v_csv THEN
               (SELECT jsonb_agg(jsonb_build_object('group', g.code, 'name', g.name, 'listed', g.listed)
                    || promise_group(v_query, g.narrow, g.counts, g.to_acknowledge, g.to_try, g.to_contact) ORDER BY g.n)
                FROM page g WHERE g.n <= v_limit) END,
           (SELECT cursor_of(jsonb_build_array(coalesce(g.code, ''))) FROM page g
            WHERE g.n = v_limit AND EXISTS (SELECT FROM page WHERE n = v_limit + 1)),
           CASE WHEN v_csv THEN
               (SELECT jsonb_agg(jsonb_build_array(g.code, g.name) || to_jsonb(g.counts) || jsonb_build_array(
                    figure_share(g.counts[4], g.counts[4] + g.counts[5] + g.counts[7]), figure_share(g.counts[8], g.counts[8] + g.counts[9]),
                    figure_share(g.counts[11], g.counts[10]), g.to_acknowledge[1], g.to_acknowledge[2],
                    g.to_try[1], g.to_try[2], g.to_contact[1],
                    g.to_contact[2], figure_link(v_query, g.narrow || '{"figure": "made"}')) ORDER BY g.n) FROM page g) END
        INTO v_total, v_items, v_next, v_lines;
    IF v_csv THEN
        RETURN answer_csv(ARRAY[v_by, 'name'] || ARRAY(SELECT m.figure FROM figure_meanings() WITH ORDINALITY AS m (figure, timed, condition, n)
                                                       WHERE m.timed ORDER BY m.n)
            || '{kept_share,proved_share,satisfied_first_share,acknowledge_median_seconds,acknowledge_p90_seconds,try_median_seconds,'
               'try_p90_seconds,contact_median_seconds,contact_p90_seconds,cases}'::text[], v_lines);
    END IF;
    RETURN answer_json(jsonb_build_object('from', v_period.first_day, 'to', v_period.last_day, 'by', v_by, 'total', v_total,
                                          'items', coalesce(v_items, '[]'), 'next', v_next));
END $$;
GRANT EXECUTE ON FUNCTION api_promise_figures TO ringback_console;
COMMENT ON FUNCTION api_promise_figures(jsonb) IS 'GET /figures/promises';

CREATE OR REPLACE FUNCTION api_figure_cases(p jsonb) RETURNS answer LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    v_query jsonb := coalesce(p -> 'query', '{}');
    v_csv boolean := asked_csv(p);
    v_limit integer := CASE WHEN v_csv THEN 20000 ELSE asked_limit(p) END;
    v_after jsonb := asked_cursor(p, 2);
    v_period record := asked_period(p);
    v_figure record;
    v_items jsonb;
    v_next text;
BEGIN
    PERFORM cursor_time(v_after, 0), cursor_number(v_after, 1);
    SELECT m.* INTO v_figure FROM figure_meanings() m WHERE m.figure = coalesce(p #>> '{query,figure}', 'made');
    IF NOT FOUND THEN
        PERFORM refuse(400, 'bad-request', 'figure is one of ' || (SELECT string_agg(figure, ', ') FROM figure_meanings()));
    ELSIF NOT v_figure.timed AND v_query ?| '{from,to,operator,product}' THEN
        PERFORM refuse(400, 'bad-request', 'a figure of load is of now: it takes neither from and to nor operator and product');
    END IF;
    -- Keys first: what is shown besides is looked up for the page alone.
    EXECUTE format($q$
        WITH page AS MATERIALIZED (
            SELECT f.*, row_number() OVER (ORDER BY %1$s, f.follow_up_id) AS n FROM follow_ups f WHERE %2$s AND (%3$s)
              AND ($1 IS NULL OR (%1$s, f.follow_up_id) > (($1 ->> 0)::timestamptz, ($1 ->> 1)::bigint))
            ORDER BY %1$s, f.follow_up_id LIMIT $2 + 1)
        SELECT CASE WHEN $3 THEN
                   (SELECT jsonb_agg(jsonb_build_array(f.follow_up_id, f.complaint::text, f.kind, f.category, f.state, o.code, r.code,
                        to_char(f.raised_at AT TIME ZONE $4, 'YYYY-MM-DD HH24:MI:SS'), to_char(f.due_at AT TIME ZONE $4, 'YYYY-MM-DD HH24:MI:SS'),
                        to_char(f.contacted_at AT TIME ZONE $4, 'YYYY-MM-DD HH24:MI:SS'), f.proof, f.root_cause, f.valid,
                        f.corrective_action) ORDER BY f.n) FROM page f
                    LEFT JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
                    LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id)
               ELSE
                   (SELECT jsonb_agg(jsonb_build_object('id', f.follow_up_id, 'complaint', f.complaint::text, 'kind', f.kind,
                        'category', f.category, 'state', f.state, 'owner', o.code, 'retailer', r.code, 'raised_at', f.raised_at,
                        'due_at', f.due_at, 'contacted_at', f.contacted_at, 'proof', f.proof) ORDER BY f.n) FROM page f
                    LEFT JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
                    LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id
                    WHERE f.n <= $2) END,
               (SELECT cursor_of(jsonb_build_array(%1$s, f.follow_up_id)) FROM page f
                WHERE f.n = $2 AND EXISTS (SELECT FROM page WHERE n = $2 + 1))
        $q$, CASE WHEN v_figure.timed THEN 'f.raised_at' ELSE 'f.due_at' END,
        figure_filter(v_query, CASE WHEN v_figure.timed THEN v_period.begins END, CASE WHEN v_figure.timed THEN v_period.ends END),
        v_figure.condition) INTO v_items, v_next USING v_after, v_limit, v_csv, asker_timezone();
    IF v_csv AND v_next IS NOT NULL THEN
        PERFORM refuse(400, 'bad-request', 'these are more than 20,000 cases: ask for a shorter period or narrow them by a filter');
    ELSIF v_csv THEN
        RETURN answer_csv('{id,complaint,kind,category,state,owner,retailer,raised_at,due_at,contacted_at,proof,root_cause,valid,corrective_action}',
                          v_items);
    END IF;
    RETURN answer_json(jsonb_build_object('items', coalesce(v_items, '[]'), 'next', v_next));
END $$;
GRANT EXECUTE ON FUNCTION api_figure_cases TO ringback_console;
COMMENT ON FUNCTION api_figure_cases(jsonb) IS 'GET /figures/cases';

-- Right now, for everybody who may have something to do: account managers even without any case. A page counts for the people
-- on it alone, by the index of their open ones; a whole list counts all in one go.
CREATE OR REPLACE FUNCTION load_counts(p_filter text, p_paged boolean) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format(CASE WHEN p_paged THEN
            'LEFT JOIN LATERAL (SELECT %1$s FROM follow_ups f WHERE %2$s AND f.state <> ''closed'' AND f.owner_id = g.person_id) l ON true
             LEFT JOIN LATERAL (SELECT %1$s FROM follow_ups f WHERE %2$s AND f.state <> ''closed'' AND f.owner_id IS NULL AND g.person_id IS NULL) m
                 ON g.person_id IS NULL'
        ELSE 'LEFT JOIN (SELECT f.owner_id, %1$s FROM (SELECT f.owner_id, f.state, f.due_at FROM follow_ups f WHERE %2$s AND f.state <> ''closed'' OFFSET 0) f
                         GROUP BY f.owner_id) l ON coalesce(l.owner_id, -1) = coalesce(g.person_id, -1)
              LEFT JOIN LATERAL (SELECT NULL::bigint[] AS counts, NULL::timestamptz AS next_due_at) m ON true' END,
        (SELECT format('ARRAY[%s] AS counts, min(f.due_at) FILTER (WHERE f.state IN (''open'', ''acknowledged'')) AS next_due_at',
                       string_agg(format('count(*) FILTER (WHERE %s)', x.condition), ', ' ORDER BY x.n))
         FROM figure_meanings() WITH ORDINALITY AS x (figure, timed, condition, n) WHERE NOT x.timed), p_filter)
$$;
GRANT EXECUTE ON FUNCTION load_counts TO ringback_console;
COMMENT ON FUNCTION load_counts(text, boolean) IS 'The joins that give each person g of a list his figures of load, l or (without a person) m.';

CREATE OR REPLACE FUNCTION api_load_figures(p jsonb) RETURNS answer LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    v_query jsonb := coalesce(p -> 'query', '{}');
    v_csv boolean := asked_csv(p);
    v_limit integer := CASE WHEN v_csv THEN NULL ELSE asked_limit(p) END;
    v_after jsonb := asked_cursor(p, 1);
    v_filter text := figure_filter(v_query, NULL, NULL);
    v_items jsonb;
    v_lines jsonb;
    v_next text;
BEGIN
    EXECUTE format($q$
        WITH page AS MATERIALIZED (
            SELECT o.*, row_number() OVER (ORDER BY coalesce(o.code, '') COLLATE "C") AS n FROM (
                SELECT x.person_id, x.code, x.name, x.role FROM people x WHERE x.branch_id = asker_branch()
                  AND (%3$s
                    OR (x.role = 'account_manager' AND x.retired_at IS NULL AND ($1 ->> 'manager' IS NULL OR x.code = $1 ->> 'manager')
                      AND ($1 ->> 'area' IS NULL OR x.area_id = (SELECT a.area_id FROM areas a WHERE a.branch_id = x.branch_id AND a.code = $1 ->> 'area'))
                      AND (asker_everything() OR x.person_id = ANY (asker_managers()))))
                UNION ALL
                SELECT NULL, NULL, NULL, NULL WHERE EXISTS (SELECT FROM follow_ups f WHERE %1$s AND f.state <> 'closed' AND f.owner_id IS NULL)) o
            WHERE $2 IS NULL OR coalesce(o.code, '') COLLATE "C" > $2 ->> 0
            ORDER BY n LIMIT $3 + 1
        ), shown AS MATERIALIZED (
            SELECT g.*, coalesce(l.counts, '{0,0,0,0,0}') AS own, m.counts AS nobodys, coalesce(l.next_due_at, m.next_due_at) AS next_due_at,
                   (SELECT count(*) FROM retailers r WHERE r.branch_id = asker_branch() AND r.manager_id = g.person_id AND r.retired_at IS NULL) AS retailers
            FROM page g %2$s WHERE $3 IS NULL OR g.n <= $3
        )
        SELECT CASE WHEN $3 IS NOT NULL THEN (SELECT jsonb_agg(jsonb_build_object('group', g.code, 'name', g.name, 'role', g.role, 'retailers', g.retailers,
                    'next_due_at', g.next_due_at, 'figures', figure_cells($1, false, jsonb_build_object('manager', coalesce(g.code, '')), coalesce(g.nobodys, g.own)))
                    ORDER BY g.n) FROM shown g) END,
               CASE WHEN $3 IS NULL THEN (SELECT jsonb_agg(jsonb_build_array(g.code, g.name, g.role, g.retailers) || to_jsonb(coalesce(g.nobodys, g.own))
                    || jsonb_build_array(to_char(g.next_due_at AT TIME ZONE $4, 'YYYY-MM-DD HH24:MI:SS'),
                        figure_link($1, jsonb_build_object('manager', coalesce(g.code, ''), 'figure', 'load'))) ORDER BY g.n) FROM shown g) END,
               (SELECT cursor_of(jsonb_build_array(coalesce(g.code, ''))) FROM page g WHERE g.n = $3 AND EXISTS (SELECT FROM page WHERE n = $3 + 1))
        $q$, v_filter, load_counts(v_filter, NOT v_csv),
        -- Who sees the branch sees somebody's first row at once. For others the ways by which the policy of follow_ups lets them see
        -- one are asked for by index; the policy still decides.
        format(CASE WHEN asker_everything() THEN 'EXISTS (SELECT FROM follow_ups f WHERE %1$s AND f.state <> ''closed'' AND f.owner_id = x.person_id)'
            ELSE 'x.person_id IN (
                SELECT f.owner_id FROM follow_ups f WHERE %1$s AND f.state <> ''closed'' AND f.owner_id = ANY ((SELECT asker_managers())::integer[])
                UNION SELECT f.owner_id FROM retailers r JOIN follow_ups f ON f.branch_id = r.branch_id AND f.retailer_id = r.retailer_id
                    WHERE r.branch_id = asker_branch() AND (SELECT asker_role()) IN (''account_manager'', ''market_manager'') AND %1$s AND f.state <> ''closed''
                UNION SELECT f.owner_id FROM follow_ups f WHERE %1$s AND f.state <> ''closed'' AND f.kind = ''report'' AND (SELECT asker_reports())
                UNION SELECT f.owner_id FROM follow_ups f WHERE %1$s AND f.state <> ''closed'' AND f.follow_up_id = ANY ((SELECT asker_requests())::bigint[]))' END, v_filter))
        INTO v_items, v_lines, v_next USING v_query, v_after, v_limit, asker_timezone();
    IF v_csv THEN
        RETURN answer_csv('{manager,name,role,retailers,load,load_waiting,load_overdue,load_due_soon,load_unacknowledged,next_due_at,cases}', v_lines);
    END IF;
    RETURN answer_json(jsonb_build_object('items', coalesce(v_items, '[]'), 'next', v_next));
END $$;
GRANT EXECUTE ON FUNCTION api_load_figures TO ringback_console;
COMMENT ON FUNCTION api_load_figures(jsonb) IS 'GET /figures/load';

-- The lateness of steps is one of the system, not of people: it is counted over the whole branch by the owner, for
-- supervisors and administrators, without the steps of reports for who may not know of them. A step that was past when its
-- follow-up was made is late only from then; few are, so that only steps over a second late are looked up.
CREATE OR REPLACE FUNCTION steps_fired(p_action text, p_begins timestamptz, p_ends timestamptz)
RETURNS TABLE (follow_up_id bigint, step text, action text, due_at timestamptz, fired_at timestamptz, milliseconds integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp SET jit = off AS $$
    SELECT s.follow_up_id, s.step, s.action, s.due_at, s.fired_at, least(2147483647, date_part('epoch', s.fired_at - CASE
               WHEN s.fired_at - s.due_at <= interval '1 second' THEN s.due_at
               ELSE greatest(s.due_at, (SELECT f.created_at FROM follow_ups f WHERE f.branch_id = s.branch_id AND f.follow_up_id = s.follow_up_id))
               END) * 1000)::integer
    FROM follow_up_steps s
    WHERE s.branch_id = asker_branch() AND asker_role() IN ('supervisor', 'administrator')
      AND s.due_at >= p_begins AND s.due_at < p_ends AND s.fired_at IS NOT NULL AND s.skipped IS NULL
      AND (p_action IS NULL OR s.action = p_action)
      AND (asker_reports() OR NOT EXISTS (SELECT FROM follow_ups f WHERE f.branch_id = s.branch_id AND f.follow_up_id = s.follow_up_id
                                                                     AND f.kind = 'report'))
$$;
REVOKE EXECUTE ON FUNCTION steps_fired FROM PUBLIC;
GRANT EXECUTE ON FUNCTION steps_fired TO ringback_console;
COMMENT ON FUNCTION steps_fired(text, timestamptz, timestamptz) IS 'Steps that were due in a period and notified somebody, with how late they fired.';

CREATE OR REPLACE FUNCTION api_lateness_figures(p jsonb) RETURNS answer LANGUAGE plpgsql SET jit = off SET work_mem = '32MB' AS $$
DECLARE
    v_csv boolean := asked_csv(p);
    v_period record := asked_period(p);
    v_items jsonb;
    v_lines jsonb;
BEGIN
    -- Few different lateness values, many steps: counted by the millisecond, the percentiles are those of the steps all the same.
    WITH by_millisecond AS MATERIALIZED (
        SELECT s.action, s.milliseconds, count(*) AS n FROM steps_fired(NULL, v_period.begins, v_period.ends) s GROUP BY s.action, s.milliseconds
    ), running AS (
        SELECT b.*, sum(b.n) OVER (PARTITION BY b.action ORDER BY b.milliseconds) AS up_to, sum(b.n) OVER (PARTITION BY b.action) AS steps
        FROM by_millisecond b
    ), figures AS (
        SELECT r.action, max(r.steps)::bigint AS steps, min(r.milliseconds) FILTER (WHERE r.up_to >= r.steps * 0.5) AS median,
               min(r.milliseconds) FILTER (WHERE r.up_to >= r.steps * 0.99) AS p99, max(r.milliseconds) AS most,
               coalesce(sum(r.n) FILTER (WHERE r.milliseconds > 1000), 0)::bigint AS late,
               format('/api/v1/figures/steps?action=%s&from=%s&to=%s', r.action, v_period.first_day, v_period.last_day) AS cases
        FROM running r GROUP BY r.action
    )
    SELECT jsonb_agg(jsonb_build_object('action', f.action, 'count', f.steps, 'median_milliseconds', f.median, 'p99_milliseconds', f.p99,
                'most_milliseconds', f.most, 'late', f.late, 'cases', f.cases) ORDER BY f.action),
           jsonb_agg(jsonb_build_array(f.action, f.steps, f.median, f.p99, f.most, f.late, f.cases) ORDER BY f.action)
        INTO v_items, v_lines FROM figures f;
    IF v_csv THEN
        RETURN answer_csv('{action,count,median_milliseconds,p99_milliseconds,most_milliseconds,late,cases}', v_lines);
    END IF;
    RETURN answer_json(jsonb_build_object('from', v_period.first_day, 'to', v_period.last_day, 'items', coalesce(v_items, '[]'), 'next', NULL));
END $$;
GRANT EXECUTE ON FUNCTION api_lateness_figures TO ringback_console;
COMMENT ON FUNCTION api_lateness_figures(jsonb) IS 'GET /figures/lateness';

CREATE OR REPLACE FUNCTION api_figure_steps(p jsonb) RETURNS answer LANGUAGE plpgsql SET jit = off AS $$
DECLARE
    v_action text := p #>> '{query,action}';
    v_csv boolean := asked_csv(p);
    v_limit integer := CASE WHEN v_csv THEN 20000 ELSE asked_limit(p) END;
    v_after jsonb := asked_cursor(p, 3);
    v_period record := asked_period(p);
    v_items jsonb;
    v_next text;
BEGIN
    PERFORM cursor_number(v_after, 0), cursor_number(v_after, 1);
    IF v_action NOT IN ('reminded', 'overdue', 'escalated', 'promised', 'unacknowledged', 'request') THEN
        PERFORM refuse(400, 'bad-request', 'action is reminded, overdue, escalated, promised, unacknowledged or request');
    END IF;
    WITH page AS MATERIALIZED (
        SELECT s.*, row_number() OVER (ORDER BY s.milliseconds DESC, s.follow_up_id, s.step) AS n
        FROM steps_fired(v_action, v_period.begins, v_period.ends) s
        WHERE v_after IS NULL OR (-s.milliseconds, s.follow_up_id, s.step) > ((v_after ->> 0)::integer, (v_after ->> 1)::bigint, v_after ->> 2)
        ORDER BY s.milliseconds DESC, s.follow_up_id, s.step LIMIT v_limit + 1)
    SELECT CASE WHEN v_csv THEN
               (SELECT jsonb_agg(jsonb_build_array(s.follow_up_id, s.step, s.action,
                    to_char(s.due_at AT TIME ZONE asker_timezone(), 'YYYY-MM-DD HH24:MI:SS.MS'),
                    to_char(s.fired_at AT TIME ZONE asker_timezone(), 'YYYY-MM-DD HH24:MI:SS.MS'), s.milliseconds) ORDER BY s.n) FROM page s)
           ELSE
               (SELECT jsonb_agg(jsonb_build_object('follow_up', s.follow_up_id, 'step', s.step, 'action', s.action, 'due_at', s.due_at,
                    'fired_at', s.fired_at, 'milliseconds', s.milliseconds) ORDER BY s.n) FROM page s WHERE s.n <= v_limit) END,
           (SELECT cursor_of(jsonb_build_array(-s.milliseconds, s.follow_up_id, s.step)) FROM page s
            WHERE s.n = v_limit AND EXISTS (SELECT FROM page WHERE n = v_limit + 1))
        INTO v_items, v_next;
    IF v_csv AND v_next IS NOT NULL THEN
        PERFORM refuse(400, 'bad-request', 'these are more than 20,000 steps: ask for a shorter period or one action');
    ELSIF v_csv THEN
        RETURN answer_csv('{follow_up,step,action,due_at,fired_at,milliseconds}', v_items);
    END IF;
    RETURN answer_json(jsonb_build_object('items', coalesce(v_items, '[]'), 'next', v_next));
END $$;
GRANT EXECUTE ON FUNCTION api_figure_steps TO ringback_console;
COMMENT ON FUNCTION api_figure_steps(jsonb) IS 'GET /figures/steps';
