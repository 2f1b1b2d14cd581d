-- The console's orders, newest first. References are given out as orders are stored, so that the list of the branch is read from
-- the key backwards; one retailer's, or the few retailers' of an account manager, by the index of each.

-- The key is not by time, but nearly: between storing and numbering lies a transaction. So a span of time is a span of references,
-- found by halving, with ten minutes to spare on both sides. For the owner alone.
CREATE OR REPLACE FUNCTION reference_near(p_table text, p_at timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_branch integer := asker_branch();
    v_low bigint;
    v_high bigint;
    v_reference bigint;
    v_stored timestamptz;
BEGIN
    EXECUTE format('SELECT min(reference), max(reference) + 1 FROM %I WHERE branch_id = $1', p_table) INTO v_low, v_high USING v_branch;
    WHILE v_low < v_high LOOP
        EXECUTE format('SELECT reference, stored_at FROM %I WHERE branch_id = $1 AND reference >= $2 ORDER BY reference LIMIT 1', p_table)
            INTO v_reference, v_stored USING v_branch, (v_low + v_high) / 2;
        IF v_reference IS NULL OR v_stored >= p_at THEN
            v_high := (v_low + v_high) / 2;
        ELSE
            v_low := v_reference + 1;
        END IF;
    END LOOP;
    RETURN v_low;
END $$;
COMMENT ON FUNCTION reference_near(text, timestamptz) IS 'About the first reference of orders or complaints given out from this time on; null: there are none.';

CREATE OR REPLACE FUNCTION references_between(p_table text, p_column text, p_from timestamptz, p_to timestamptz) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE WHEN p_from IS NULL THEN '' ELSE clause(' AND ' || p_column || ' >= %s', reference_near(p_table, p_from - interval '10 minutes')::text) END
        || CASE WHEN p_to IS NULL THEN '' ELSE clause(' AND ' || p_column || ' <= %s', reference_near(p_table, p_to + interval '10 minutes')::text) END;
END $$;
COMMENT ON FUNCTION references_between(text, text, timestamptz, timestamptz) IS 'A condition on a reference that holds for all that was stored in a span of time.';

CREATE OR REPLACE FUNCTION cycle_asked(p jsonb) RETURNS order_cycles LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_day text := p #>> '{query,cycle}';
    v_cycle order_cycles;
BEGIN
    IF v_day IS NOT NULL THEN
        PERFORM asked_time(p, 'cycle');
        IF v_day !~ '^\d{4}-\d\d-\d\d$' THEN
            PERFORM refuse(400, 'bad-request', 'cycle is a day of an order cycle, like 2026-03-02');
        END IF;
        SELECT * INTO v_cycle FROM order_cycles WHERE branch_id = asker_branch() AND v_day::date BETWEEN starts_on AND ends_on;
        v_cycle.cycle_id := coalesce(v_cycle.cycle_id, -1);
    END IF;
    RETURN v_cycle;
END $$;
COMMENT ON FUNCTION cycle_asked(jsonb) IS 'The order cycle a filter names by one of its days; its id is -1 when there is none, null when none was asked for.';

CREATE OR REPLACE FUNCTION order_summary(p_reference bigint) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object('reference', o.reference::text, 'retailer', json_build_object('code', r.code, 'name', r.name),
            'operator', o.operator_code, 'call', o.call, 'placed_at', o.placed_at, 'stored_at', o.stored_at, 'cycle', y.starts_on,
            'lines', s.lines, 'asked', s.asked, 'cartons', s.granted, 'amount_fen', s.amount_fen)
        FROM orders o
        JOIN retailers r ON r.branch_id = o.branch_id AND r.retailer_id = o.retailer_id
        JOIN order_cycles y ON y.branch_id = o.branch_id AND y.cycle_id = o.cycle_id
        CROSS JOIN LATERAL (SELECT count(*) AS lines, coalesce(sum(l.asked_cartons), 0) AS asked, coalesce(sum(l.granted_cartons), 0) AS granted,
                                   coalesce(sum(l.granted_cartons::bigint * l.price_fen), 0) AS amount_fen
                            FROM order_lines l WHERE l.branch_id = o.branch_id AND l.reference = o.reference) s
        WHERE o.branch_id = asker_branch() AND o.reference = p_reference);
END $$;
COMMENT ON FUNCTION order_summary(bigint) IS 'An order as lists show it.';

-- Three ways: the branch by reference, of which who has few shops would have to read too much: his, shop by shop, by
-- the time they were stored; and one shop's likewise.
CREATE OR REPLACE FUNCTION pick_orders(p jsonb, OUT ids text[], OUT next jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_after jsonb := asked_cursor(p, 2);
    v_at timestamptz := cursor_time(v_after, 0);
    v_reference bigint := cursor_number(v_after, 1);
    v_retailer text := retailer_asked(p);
    v_cycle order_cycles := cycle_asked(p);
    v_zone text := (SELECT timezone FROM branches WHERE branch_id = v_branch);
    v_from timestamptz := greatest(asked_time(p, 'from'), v_cycle.starts_on::timestamp AT TIME ZONE v_zone);
    v_to timestamptz := least(asked_time(p, 'to'), (v_cycle.ends_on + 1)::timestamp AT TIME ZONE v_zone);
    v_product text := asked_text(p, 'product');
    v_few boolean := v_retailer IS NOT NULL OR (asker_role() IN ('account_manager', 'market_manager') AND NOT p -> 'query' ?| '{call,operator}');
    v_order text := CASE WHEN v_few THEN ' ORDER BY o.stored_at DESC, o.reference DESC' ELSE ' ORDER BY o.reference DESC' END;
    v_where text := clause(' AND o.operator_id = %s', person_asked(p, 'operator')) || clause(' AND o.call = %L', p #>> '{query,call}')
        || clause(' AND o.cycle_id = %s', v_cycle.cycle_id::text) || clause(' AND o.retailer_id = %s', v_retailer)
        || clause(' AND o.stored_at >= %L', v_from::text) || clause(' AND o.stored_at < %L', v_to::text)
        || references_between('orders', 'o.reference', v_from, v_to)
        || CASE WHEN v_after IS NULL THEN '' WHEN v_few THEN format(' AND (o.stored_at, o.reference) < (%L, %s)', v_at, v_reference)
                ELSE format(' AND o.reference < %s', v_reference) END;
    v_ok text := CASE WHEN asker_everything() OR (v_few AND v_retailer IS NULL) THEN 'true'
            ELSE format('o.retailer_id IN (SELECT r.retailer_id FROM retailers r WHERE r.branch_id = %s%s)', v_branch, retailers_scope()) END
        || CASE WHEN v_product IS NULL THEN '' ELSE format(' AND (SELECT true FROM order_lines l WHERE l.branch_id = o.branch_id
            AND l.reference = o.reference AND l.product_id = %s LIMIT 1)', coalesce((SELECT product_id FROM products
                WHERE branch_id = v_branch AND code = v_product), -1)) END;
    v_rows text;
BEGIN
    v_rows := CASE WHEN v_few AND v_retailer IS NULL
        THEN format('FROM retailers r CROSS JOIN LATERAL (SELECT o.* FROM orders o WHERE o.branch_id = r.branch_id AND o.retailer_id = r.retailer_id%s%s
                     LIMIT %s) o WHERE r.branch_id = %s%s', v_where, v_order, reach_of(v_ok, asked_limit(p)), v_branch, retailers_scope())
        ELSE format('FROM orders o WHERE o.branch_id = %s%s', v_branch, v_where) END;
    SELECT w.ids, w.next INTO ids, next
        FROM walk(format('SELECT o.reference AS id, jsonb_build_array(o.stored_at, o.reference) AS key, %s AS ok %s%s', v_ok, v_rows, v_order),
                  asked_limit(p), reach_of(v_ok, asked_limit(p))) w;
END $$;
COMMENT ON FUNCTION pick_orders(jsonb) IS 'The orders of a page of the list.';

CREATE OR REPLACE FUNCTION api_list_orders(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_ids text[];
    v_next jsonb;
BEGIN
    SELECT ids, next INTO v_ids, v_next FROM pick_orders(p);
    RETURN page_of((SELECT array_agg(x.item ORDER BY x.n) FILTER (WHERE x.item IS NOT NULL)
        FROM (SELECT order_summary(u.id::bigint) AS item, u.n FROM unnest(v_ids) WITH ORDINALITY AS u (id, n)) x), v_next);
END $$;
COMMENT ON FUNCTION api_list_orders(jsonb) IS 'Orders, newest first.';

CREATE OR REPLACE FUNCTION call_of(p_call text) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object('id', c.call, 'direction', c.direction, 'state', (ARRAY['ringing', 'answered', 'ended'])[c.state],
            'from', c.from_number, 'to', c.to_number, 'at', c.first_seen_at, 'seconds', c.seconds, 'recording', c.recording)
        FROM calls c WHERE c.branch_id = asker_branch() AND c.call = p_call);
END $$;
COMMENT ON FUNCTION call_of(text) IS 'A call as orders and complaints show it; null: its events did not come, or it is not his to see.';

CREATE OR REPLACE FUNCTION api_get_order(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_reference bigint := asked_reference(p, 'order');
    v_order json;
BEGIN
    SELECT json_build_object('reference', o.reference::text,
            'retailer', json_build_object('code', r.code, 'name', r.name, 'manager', m.code), 'operator', o.operator_code,
            'operator_name', w.name, 'call_id', o.call, 'call', call_of(o.call), 'note', o.note, 'placed_at', o.placed_at,
            'stored_at', o.stored_at, 'cycle', json_build_object('from', y.starts_on, 'to', y.ends_on),
            'asked', s.asked, 'cartons', s.granted, 'amount_fen', s.amount_fen, 'lines', s.lines,
            'complaints', (SELECT coalesce(json_agg(json_build_object('reference', c.reference::text, 'kind', c.kind, 'raised_at', c.raised_at)
                                                    ORDER BY c.reference), '[]')
                           FROM complaints c WHERE c.branch_id = o.branch_id AND c.retailer_id = o.retailer_id
                               AND c.order_reference = o.reference)) INTO v_order
    FROM orders o
    JOIN retailers r ON r.branch_id = o.branch_id AND r.retailer_id = o.retailer_id
    JOIN people m ON m.branch_id = r.branch_id AND m.person_id = r.manager_id
    JOIN order_cycles y ON y.branch_id = o.branch_id AND y.cycle_id = o.cycle_id
    LEFT JOIN people w ON w.branch_id = o.branch_id AND w.person_id = o.operator_id
    CROSS JOIN LATERAL (
        SELECT sum(l.asked_cartons) AS asked, sum(l.granted_cartons) AS granted, sum(l.granted_cartons::bigint * l.price_fen) AS amount_fen,
               json_agg(json_build_object('line', l.line, 'product', d.code, 'name', d.name, 'cartons', l.asked_cartons,
                   'granted', l.granted_cartons, 'reason', l.reason, 'cap', l.cap_cartons, 'used', l.used_cartons,
                   'price_fen', l.price_fen, 'amount_fen', l.granted_cartons::bigint * l.price_fen) ORDER BY l.line) AS lines
        FROM order_lines l JOIN products d ON d.branch_id = l.branch_id AND d.product_id = l.product_id
        WHERE l.branch_id = o.branch_id AND l.reference = o.reference) s
    WHERE o.branch_id = asker_branch() AND o.reference = v_reference;
    IF NOT FOUND THEN
        PERFORM found_nothing('order');
    END IF;
    RETURN answer_json(v_order);
END $$;
COMMENT ON FUNCTION api_get_order(jsonb) IS 'One order with its lines, who took it and in which call.';

GRANT EXECUTE ON FUNCTION cycle_asked, pick_orders, order_summary, api_list_orders, call_of, api_get_order
    TO ringback_console;
