-- Reports of a month: what it is that retailers raise again and again, and why. Made of the texts of 87-figures.sql, hence each
-- row leads to as many cases as it says.

CREATE OR REPLACE FUNCTION asked_month(p jsonb, OUT first_day date, OUT last_day date, OUT begins timestamptz, OUT ends timestamptz,
                                       OUT before timestamptz)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_month text := coalesce(p #>> '{query,month}', to_char(now() AT TIME ZONE asker_timezone(), 'YYYY-MM'));
BEGIN
    IF v_month !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' OR v_month < '1970' THEN
        PERFORM refuse(400, 'bad-request', 'month is a year and a month: 2026-11');
    END IF;
    first_day := (v_month || '-01')::date;
    last_day := (first_day + interval '1 month')::date - 1;
    begins := first_day::timestamp AT TIME ZONE asker_timezone();
    ends := (last_day + 1)::timestamp AT TIME ZONE asker_timezone();
    before := (first_day - interval '1 month') AT TIME ZONE asker_timezone();
END $$;
GRANT EXECUTE ON FUNCTION asked_month TO ringback_console;
COMMENT ON FUNCTION asked_month(jsonb) IS 'The month asked for (this one when none is), by the branch''s clock; before: where the month before it begins.';

-- By category, root cause and whether the grievance was founded, beside the month before. What was merged counts with what it was
-- merged into.
DROP FUNCTION IF EXISTS cause_counts(jsonb, timestamptz, timestamptz, timestamptz);
CREATE FUNCTION cause_counts(p_query jsonb, p_before timestamptz, p_begins timestamptz, p_ends timestamptz)
RETURNS TABLE (category text, root_cause text, valid boolean, cases bigint, cases_before bigint, actions jsonb)
LANGUAGE plpgsql STABLE SET jit = off AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH counted AS MATERIALIZED (
            SELECT f.category, f.root_cause, f.valid, count(*) FILTER (WHERE f.raised_at >= $1) AS n, count(*) FILTER (WHERE f.raised_at < $1) AS n_before
            FROM follow_ups f WHERE %1$s AND %2$s GROUP BY 1, 2, 3
        ), done AS MATERIALIZED (
            SELECT a.category, a.root_cause, a.valid, jsonb_agg(jsonb_build_object('text', a.action, 'count', a.n) ORDER BY a.n DESC, a.action) AS actions
            FROM (SELECT f.category, f.root_cause, f.valid, left(btrim(f.corrective_action), 500) AS action, count(*) AS n,
                         row_number() OVER (PARTITION BY f.category, f.root_cause, f.valid
                                            ORDER BY count(*) DESC, left(btrim(f.corrective_action), 500)) AS place
                  FROM follow_ups f WHERE %1$s AND %2$s AND f.raised_at >= $1 AND f.corrective_action ~ '[^[:space:]]'
                  GROUP BY 1, 2, 3, 4) a
            WHERE a.place <= 10 GROUP BY 1, 2, 3
        )
        SELECT c.*, coalesce(d.actions, '[]') FROM counted c
        LEFT JOIN done d ON d.category IS NOT DISTINCT FROM c.category AND d.root_cause IS NOT DISTINCT FROM c.root_cause
            AND d.valid IS NOT DISTINCT FROM c.valid
        $q$, figure_filter(p_query, p_before, p_ends), figure_promised()) USING p_begins;
END $$;
GRANT EXECUTE ON FUNCTION cause_counts TO ringback_console;
COMMENT ON FUNCTION cause_counts(jsonb, timestamptz, timestamptz, timestamptz) IS
    'Follow-ups of a month and the one before by category, root cause and validity; actions: the ten most frequent corrective ones.';

CREATE OR REPLACE FUNCTION api_cause_report(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_query jsonb := coalesce(p -> 'query', '{}');
    v_csv boolean := asked_csv(p);
    v_limit integer := CASE WHEN v_csv THEN NULL ELSE asked_limit(p) END;
    v_after jsonb := asked_cursor(p, 1);
    v_month record := asked_month(p);
    v_total bigint;
    v_before bigint;
    v_items jsonb;
    v_lines jsonb;
    v_next text;
BEGIN
    PERFORM cursor_number(v_after, 0);
    WITH counted AS MATERIALIZED (
        SELECT c.*, row_number() OVER (ORDER BY c.cases DESC, c.cases_before DESC, c.category COLLATE "C", c.root_cause COLLATE "C", c.valid) AS place,
               sum(c.cases) OVER () AS month_total, sum(c.cases_before) OVER () AS before_total
        FROM cause_counts(v_query, v_month.before, v_month.begins, v_month.ends) c
    ), page AS MATERIALIZED (
        SELECT c.*, k.zh AS category_name, u.zh AS cause_name,
               figure_link(v_query, jsonb_build_object('figure', 'made', 'from', v_month.first_day, 'to', v_month.last_day, 'category', coalesce(c.category, ''),
                   'root_cause', coalesce(c.root_cause, ''), 'valid', coalesce(c.valid::text, ''))) AS link
        FROM counted c
        LEFT JOIN categories k ON k.branch_id = asker_branch() AND k.code = c.category
        LEFT JOIN causes u ON u.branch_id = asker_branch() AND u.code = c.root_cause
        WHERE v_after IS NULL OR c.place > (v_after ->> 0)::bigint ORDER BY c.place LIMIT v_limit + 1
    )
    SELECT coalesce((SELECT c.month_total FROM counted c LIMIT 1), 0), coalesce((SELECT c.before_total FROM counted c LIMIT 1), 0),
           (SELECT jsonb_agg(jsonb_build_object('category', g.category, 'category_name', g.category_name,
                    'listed', g.category IS NULL OR g.category_name IS NOT NULL, 'root_cause', g.root_cause, 'root_cause_name', g.cause_name,
                    'valid', g.valid, 'count', g.cases, 'share', figure_share(g.cases, g.month_total::bigint), 'before', g.cases_before,
                    'change', g.cases - g.cases_before, 'corrective_actions', g.actions, 'cases', g.link) ORDER BY g.place)
            FROM page g WHERE NOT v_csv AND g.place <= coalesce((v_after ->> 0)::bigint, 0) + v_limit),
           (SELECT jsonb_agg(jsonb_build_array(g.category, g.category_name, g.root_cause, g.cause_name, g.valid, g.cases,
                    figure_share(g.cases, g.month_total::bigint), g.cases_before, g.cases - g.cases_before,
                    (SELECT string_agg(a.value ->> 'text' || ' (' || (a.value ->> 'count') || ')', '; ' ORDER BY a.n)
                     FROM jsonb_array_elements(g.actions) WITH ORDINALITY AS a (value, n)), g.link) ORDER BY g.place) FROM page g WHERE v_csv),
           (SELECT cursor_of(jsonb_build_array(g.place - 1)) FROM page g WHERE g.place = coalesce((v_after ->> 0)::bigint, 0) + v_limit + 1)
        INTO v_total, v_before, v_items, v_lines, v_next;
    IF v_csv THEN
        RETURN answer_csv('{category,category_name,root_cause,root_cause_name,valid,count,share,before,change,corrective_actions,cases}', v_lines);
    END IF;
    RETURN answer_json(jsonb_build_object('month', to_char(v_month.first_day, 'YYYY-MM'), 'count', v_total, 'before', v_before,
                                          'items', coalesce(v_items, '[]'), 'next', v_next));
END $$;
GRANT EXECUTE ON FUNCTION api_cause_report TO ringback_console;
COMMENT ON FUNCTION api_cause_report(jsonb) IS 'GET /reports/causes';

-- Repeats: everything that was raised counts, also what was merged, since that is raising it again. An operator is who took the
-- order that is complained about, not who took the complaint; a product is what the incident is about, else each of that order.
DROP FUNCTION IF EXISTS repeat_counts(jsonb, text, timestamptz, timestamptz);
CREATE FUNCTION repeat_counts(p_query jsonb, p_by text, p_begins timestamptz, p_ends timestamptz)
RETURNS TABLE (key text, category text, cases bigint)
LANGUAGE plpgsql STABLE SET jit = off AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT (%s)::text, f.category, count(*) FROM follow_ups f %s WHERE %s GROUP BY 1, 2',
        CASE p_by WHEN 'retailer' THEN 'f.retailer_id' WHEN 'route' THEN 'r.route_id' WHEN 'operator' THEN 'o.operator' WHEN 'product' THEN 'o.product_id' END,
        CASE p_by WHEN 'route' THEN 'JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id AND r.route_id IS NOT NULL'
                  WHEN 'operator' THEN format('JOIN complaint_operators(%L, %L) o ON o.complaint = f.complaint', p_begins, p_ends)
                  WHEN 'product' THEN format('JOIN complaint_products(%L, %L) o ON o.complaint = f.complaint', p_begins, p_ends) END,
        figure_filter(p_query, p_begins, p_ends) || CASE p_by WHEN 'retailer' THEN ' AND f.retailer_id IS NOT NULL' ELSE '' END);
END $$;
GRANT EXECUTE ON FUNCTION repeat_counts TO ringback_console;
COMMENT ON FUNCTION repeat_counts(jsonb, text, timestamptz, timestamptz) IS 'How often a retailer, product, operator or route was complained about, by category.';

CREATE OR REPLACE FUNCTION api_repeat_report(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_query jsonb := coalesce(p -> 'query', '{}');
    v_by text := coalesce(p #>> '{query,by}', 'retailer');
    v_least text := coalesce(p #>> '{query,least}', '2');
    v_csv boolean := asked_csv(p);
    v_limit integer := CASE WHEN v_csv THEN 20000 ELSE asked_limit(p) END;
    v_after jsonb := asked_cursor(p, 2);
    v_month record := asked_month(p);
    v_items jsonb;
    v_lines jsonb;
    v_next text;
BEGIN
    PERFORM cursor_number(v_after, 0);
    IF v_by <> ALL ('{retailer,product,operator,route}') THEN
        PERFORM refuse(400, 'bad-request', 'by is retailer, product, operator or route');
    ELSIF v_least !~ '^[0-9]{1,6}$' OR v_least::integer < 1 THEN
        PERFORM refuse(400, 'bad-request', 'least is a whole number from 1 to 999999');
    END IF;
    WITH counted AS MATERIALIZED (
        SELECT c.key, sum(c.cases)::bigint AS cases,
               jsonb_agg(jsonb_build_object('category', c.category, 'count', c.cases) ORDER BY c.cases DESC, c.category COLLATE "C") AS categories
        FROM repeat_counts(v_query, v_by, v_month.begins, v_month.ends) c GROUP BY c.key HAVING sum(c.cases) >= v_least::integer
    ), page AS MATERIALIZED (
        SELECT c.*, row_number() OVER (ORDER BY c.cases DESC, c.key COLLATE "C") AS n FROM counted c
        WHERE v_after IS NULL OR c.cases < (v_after ->> 0)::bigint
           OR (c.cases = (v_after ->> 0)::bigint AND c.key COLLATE "C" > v_after ->> 1)
        ORDER BY n LIMIT v_limit + 1
    ), shown AS MATERIALIZED (
        SELECT g.*, k.code, k.name, figure_link(v_query, k.narrow || '{"figure": "raised"}') AS link
        FROM page g CROSS JOIN LATERAL figure_group(v_by, g.key, v_month.first_day, v_month.last_day) k WHERE g.n <= v_limit
    )
    SELECT (SELECT jsonb_agg(jsonb_build_object('group', g.code, 'name', g.name, 'count', g.cases, 'categories', g.categories, 'cases', g.link)
                ORDER BY g.n) FROM shown g WHERE NOT v_csv),
           (SELECT jsonb_agg(jsonb_build_array(g.code, g.name, g.cases,
                (SELECT string_agg(coalesce(a.value ->> 'category', '(none)') || ' ' || (a.value ->> 'count'), '; ' ORDER BY a.n)
                 FROM jsonb_array_elements(g.categories) WITH ORDINALITY AS a (value, n)), g.link) ORDER BY g.n) FROM shown g WHERE v_csv),
           (SELECT cursor_of(jsonb_build_array(g.cases, g.key)) FROM page g WHERE g.n = v_limit AND EXISTS (SELECT FROM page WHERE n = v_limit + 1))
        INTO v_items, v_lines, v_next;
    IF v_csv AND v_next IS NOT NULL THEN
        PERFORM refuse(400, 'bad-request', 'these are more than 20,000 rows: ask for those that repeat more often (least)');
    ELSIF v_csv THEN
        RETURN answer_csv(ARRAY[v_by] || '{name,count,categories,cases}'::text[], v_lines);
    END IF;
    RETURN answer_json(jsonb_build_object('month', to_char(v_month.first_day, 'YYYY-MM'), 'by', v_by, 'items', coalesce(v_items, '[]'), 'next', v_next));
END $$;
GRANT EXECUTE ON FUNCTION api_repeat_report TO ringback_console;
COMMENT ON FUNCTION api_repeat_report(jsonb) IS 'GET /reports/repeats';
