-- Orders of one batch. Called by take_events only, which says which events are to be passed over.

CREATE OR REPLACE FUNCTION plausible_time(p_time timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_time BETWEEN now() - interval '7 days' AND now() + interval '60 seconds'
                THEN p_time ELSE now() END
$$;
COMMENT ON FUNCTION plausible_time(timestamptz) IS 'An event''s own time when at most 60 s ahead and 7 days old, else the moment stored.';

CREATE OR REPLACE FUNCTION retailer_by_phone(p_branch integer, p_phone text) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT CASE count(*) WHEN 0 THEN NULL WHEN 1 THEN min(r.retailer_id) ELSE -1 END
    FROM retailer_phones h JOIN retailers r USING (branch_id, retailer_id)
    WHERE h.branch_id = p_branch AND h.phone = p_phone AND r.retired_at IS NULL
$$;
COMMENT ON FUNCTION retailer_by_phone(integer, text) IS 'The one active retailer with that number; -1: several; null: none.';

-- p_event: ordinals of the orders' events in the batch. Arrays of lines name their order by its position in p_event.
-- Limits: a product's cap for the retailer, the most specific one; a scarce product without one has the limit 0.
-- Locks, in this order: rows of cycle_uses by (branch, retailer, product), which keeps an order's five in one index page. A counter that is not there yet cannot be locked:
-- when another transaction makes it meanwhile the sums differ and the batch is run again (40001).
CREATE OR REPLACE FUNCTION take_orders(
    p_skip integer[], p_branch integer[], p_gateway integer[], p_time timestamptz[], p_head text[],
    p_event integer[], p_retailer text[], p_phone text[], p_call text[], p_operator text[], p_note text[],
    l_order integer[], l_line integer[], l_product text[], l_cartons integer[])
RETURNS TABLE (event integer, outcome text, answer text, code text, errors text)
LANGUAGE plpgsql ROWS 64 AS $$
#variable_conflict use_column
DECLARE
    v_retailer integer[];
    v_operator integer[];
    v_reference bigint[];
    v_cycle integer[];
    v_product integer[];
    v_price integer[];
    v_cap integer[];
    v_limit integer[];
    v_used bigint[];
    v_raced boolean;
BEGIN
    SELECT array_agg(CASE WHEN x.code IS NOT NULL THEN r.retailer_id ELSE retailer_by_phone(p_branch[x.event], x.phone) END
                     ORDER BY x.n),
           array_agg(o.person_id ORDER BY x.n), array_agg(reference_of(x.body) ORDER BY x.n)
        INTO v_retailer, v_operator, v_reference
    FROM (SELECT x.*, CASE WHEN x.event <> ALL (p_skip) THEN nextval(b.reference_sequence) END AS body
          FROM unnest(p_event, p_retailer, p_phone, p_operator) WITH ORDINALITY AS x (event, code, phone, operator, n)
          JOIN branches b ON b.branch_id = p_branch[x.event] OFFSET 0) x
    LEFT JOIN retailers r ON r.branch_id = p_branch[x.event] AND r.code = x.code AND r.retired_at IS NULL
    LEFT JOIN people o ON o.branch_id = p_branch[x.event] AND o.code = x.operator AND o.role = 'operator'
        AND o.retired_at IS NULL;

    SELECT array_agg(p.product_id ORDER BY x.n), array_agg(p.price_fen ORDER BY x.n),
           array_agg(c.cartons ORDER BY x.n),
           array_agg(CASE WHEN p.scarce THEN coalesce(c.cartons, 0) ELSE c.cartons END ORDER BY x.n)
        INTO v_product, v_price, v_cap, v_limit
    FROM unnest(l_order, l_product) WITH ORDINALITY AS x (o, code, n)
    LEFT JOIN products p ON p.branch_id = p_branch[p_event[x.o]] AND p.code = x.code AND p.retired_at IS NULL
    LEFT JOIN LATERAL (
        SELECT c.cartons FROM caps c
        JOIN retailers r ON r.branch_id = c.branch_id AND r.retailer_id = v_retailer[x.o]
        WHERE c.branch_id = p.branch_id AND c.product_id = p.product_id
          AND (c.retailer_id IS NULL OR c.retailer_id = r.retailer_id)
          AND (c.tier IS NULL OR c.tier = r.tier)
          AND (c.market_type IS NULL OR c.market_type = r.market_type)
          AND (c.trade_type IS NULL OR c.trade_type = r.trade_type)
          AND (c.area_id IS NULL OR c.area_id = r.area_id)
          AND (c.class IS NULL OR c.class = r.class)
        ORDER BY c.specificity DESC LIMIT 1) c ON true;

    IF array_position(v_retailer, NULL) IS NOT NULL OR -1 = ANY (v_retailer)
       OR array_position(v_product, NULL) IS NOT NULL THEN
        RETURN QUERY
            WITH fault AS (
                SELECT x.event, 0 AS line,
                       CASE WHEN x.retailer = -1 THEN 'ambiguous-retailer' ELSE 'unknown-retailer' END AS code,
                       CASE WHEN x.code IS NOT NULL THEN '/retailer' ELSE '/caller' END AS pointer,
                       CASE WHEN x.retailer = -1 THEN 'several retailers have this number: name the retailer by its code'
                            WHEN x.code IS NOT NULL THEN 'no active retailer has this code'
                            ELSE 'no active retailer has this number' END AS detail
                FROM unnest(p_event, p_retailer, v_retailer) AS x (event, code, retailer)
                WHERE x.retailer IS NULL OR x.retailer = -1
                UNION ALL
                SELECT p_event[x.o], x.line, 'unknown-product', format('/lines/%s/product', x.line - 1),
                       'no active product has this code'
                FROM unnest(l_order, l_line, v_product) AS x (o, line, product)
                WHERE x.product IS NULL)
            SELECT f.event, 'refused', NULL::text, (array_agg(f.code ORDER BY f.line))[1],
                   json_agg(json_build_object('pointer', f.pointer, 'code', f.code, 'detail', f.detail) ORDER BY f.line)::text
            FROM fault f WHERE f.event <> ALL (p_skip) GROUP BY f.event;
        p_skip := p_skip || (
            SELECT coalesce(array_agg(DISTINCT bad.event), '{}')
            FROM (SELECT x.event FROM unnest(p_event, v_retailer) AS x (event, retailer)
                  WHERE x.retailer IS NULL OR x.retailer = -1
                  UNION ALL
                  SELECT p_event[x.o] FROM unnest(l_order, v_product) AS x (o, product) WHERE x.product IS NULL) bad);
    END IF;
    IF p_event <@ p_skip THEN
        RETURN;
    END IF;

    IF p_branch[p_event[1]] = ALL (p_branch) THEN
        v_cycle := array_fill(cycle_at(p_branch[1], now()), ARRAY[cardinality(p_event)]);
    ELSE
        SELECT array_agg(c.cycle_id ORDER BY x.n) INTO v_cycle
        FROM unnest(p_event) WITH ORDINALITY AS x (event, n)
        JOIN (SELECT b.branch, cycle_at(b.branch, now()) AS cycle_id
              FROM (SELECT DISTINCT unnest(p_branch) AS branch) b) c ON c.branch = p_branch[x.event];
    END IF;

    IF v_limit <> array_fill(NULL::integer, ARRAY[cardinality(v_limit)]) THEN
        SELECT array_agg(x.used ORDER BY x.n) INTO v_used
        FROM (SELECT x.n, u.granted_cartons AS used
              FROM unnest(l_order, v_product, v_limit) WITH ORDINALITY AS x (o, product, most, n)
              -- Distinct: a counter that two orders of the batch want must still come once, or the sums slip out of line.
              LEFT JOIN (SELECT u.* FROM cycle_uses u
                         JOIN (SELECT DISTINCT p_branch[p_event[y.o]] AS branch, v_cycle[y.o] AS cycle,
                                      v_retailer[y.o] AS retailer, y.product
                               FROM unnest(l_order, v_product, v_limit) AS y (o, product, most)
                               WHERE y.most IS NOT NULL AND p_event[y.o] <> ALL (p_skip)) y
                           ON u.branch_id = y.branch AND u.cycle_id = y.cycle AND u.retailer_id = y.retailer
                          AND u.product_id = y.product
                         ORDER BY u.branch_id, u.retailer_id, u.product_id FOR UPDATE OF u) u
                ON u.branch_id = p_branch[p_event[x.o]] AND u.retailer_id = v_retailer[x.o] AND u.product_id = x.product
                   AND x.most IS NOT NULL) x;
    END IF;

    RETURN QUERY
        WITH line AS MATERIALIZED (
            SELECT x.n, x.o, x.line, x.code, x.product, x.asked, x.price, x.cap, x.most, coalesce(x.used, 0) AS used,
                   p_branch[p_event[x.o]] AS branch, v_cycle[x.o] AS cycle, v_retailer[x.o] AS retailer,
                   sum(x.asked) OVER (PARTITION BY p_branch[p_event[x.o]], v_retailer[x.o], x.product ORDER BY x.n) AS upto
            FROM unnest(l_order, l_line, l_product, v_product, l_cartons, v_price, v_cap, v_limit, v_used)
                WITH ORDINALITY AS x (o, line, code, product, asked, price, cap, most, used, n)
            WHERE p_event[x.o] <> ALL (p_skip)
        ), granted AS MATERIALIZED (
            -- Who asks first is served first; the sum granted up to a line is the lesser of the sum asked and what is left.
            SELECT line.*,
                   CASE WHEN most IS NULL THEN asked
                        ELSE (least(greatest(most - used, 0), upto)
                              - least(greatest(most - used, 0), upto - asked))::integer END AS granted
            FROM line
        ), use AS (
            INSERT INTO cycle_uses AS u (branch_id, cycle_id, retailer_id, product_id, granted_cartons)
            SELECT branch, cycle, retailer, product, sum(granted) FROM granted
            GROUP BY branch, cycle, retailer, product HAVING sum(granted) > 0
            ORDER BY branch, retailer, product
            ON CONFLICT (branch_id, cycle_id, retailer_id, product_id)
                DO UPDATE SET granted_cartons = u.granted_cartons + excluded.granted_cartons
            RETURNING u.branch_id, u.retailer_id, u.product_id, u.granted_cartons
        ), counted AS MATERIALIZED (
            SELECT g.*,
                   coalesce(u.granted_cartons - sum(g.granted) OVER whole, g.used)
                       + sum(g.granted) OVER earlier - g.granted AS used_before,
                   g.most IS NOT NULL AND u.granted_cartons - sum(g.granted) OVER whole <> g.used AS raced
            FROM granted g
            LEFT JOIN use u ON u.branch_id = g.branch AND u.retailer_id = g.retailer AND u.product_id = g.product
            WINDOW whole AS (PARTITION BY g.branch, g.retailer, g.product),
                   earlier AS (PARTITION BY g.branch, g.retailer, g.product ORDER BY g.n)
        ), placed AS (
            INSERT INTO orders (branch_id, reference, retailer_id, cycle_id, gateway_id, operator_id, operator_code, call,
                                note, placed_at)
            SELECT p_branch[x.event], x.reference, x.retailer, x.cycle, p_gateway[x.event], x.operator_id, x.operator,
                   x.call, x.note, plausible_time(p_time[x.event])
            FROM unnest(p_event, v_reference, v_retailer, v_cycle, v_operator, p_operator, p_call, p_note)
                AS x (event, reference, retailer, cycle, operator_id, operator, call, note)
            WHERE x.event <> ALL (p_skip)
        ), lined AS (
            INSERT INTO order_lines (branch_id, reference, line, product_id, asked_cartons, granted_cartons, price_fen,
                                     reason, cap_cartons, used_cartons)
            SELECT branch, v_reference[o], line, product, asked, granted, price,
                   CASE WHEN granted = asked THEN NULL WHEN cap IS NULL THEN 'not-allocated' ELSE 'over-cap' END,
                   cap, used_before
            FROM counted ORDER BY n
        )
        SELECT p_event[c.o], CASE WHEN bool_or(c.raced) THEN 'raced' ELSE 'accepted' END,
               p_head[p_event[c.o]] || ',"order":{"reference":"' || v_reference[c.o] || '","call":'
               || coalesce(to_json(p_call[c.o])::text, 'null') || ',"lines":['
               || string_agg('{"product":' || to_json(c.code)::text || ',"cartons":' || c.asked || ',"granted":' || c.granted
                   || CASE WHEN c.granted = c.asked THEN ',"reason":null' WHEN c.cap IS NULL THEN ',"reason":"not-allocated"'
                           ELSE ',"reason":"over-cap"' END
                   || ',"cap":' || coalesce(c.cap::text, 'null') || ',"used":' || c.used_before || '}', ',' ORDER BY c.line)
               || '],"warnings":['
               || CASE WHEN p_operator[c.o] IS NOT NULL AND v_operator[c.o] IS NULL
                       THEN '{"code":"unknown-operator","pointer":"/operator","detail":"no active operator has this code"}'
                       ELSE '' END
               || ']}}', NULL::text, NULL::text
        FROM counted c GROUP BY c.o;
END $$;
COMMENT ON FUNCTION take_orders(integer[], integer[], integer[], timestamptz[], text[], integer[], text[], text[], text[], text[],
                                text[], integer[], integer[], text[], integer[]) IS
    'Stores the orders of a batch and grants what their caps leave; called by take_events.';
