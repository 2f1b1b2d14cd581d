-- The console's people and products: short lists by code.

-- As the owner, since counting under row-level security looks at each row: of those alone whose work who asks sees anyhow.
CREATE OR REPLACE FUNCTION person_load(p_person integer, OUT retailers bigint, OUT open_follow_ups bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
BEGIN
    IF asker_everything() OR p_person = ANY (asker_managers()) THEN
        SELECT count(*) INTO retailers FROM retailers r
            WHERE r.branch_id = asker_branch() AND r.manager_id = p_person AND r.retired_at IS NULL;
        SELECT count(*) INTO open_follow_ups FROM follow_ups f
            WHERE f.branch_id = asker_branch() AND f.owner_id = p_person AND f.state <> 'closed' AND (f.kind <> 'report' OR asker_reports());
    END IF;
END $$;
COMMENT ON FUNCTION person_load(integer) IS 'How many retailers and open follow-ups somebody has; null: that is not for who asks.';

CREATE OR REPLACE FUNCTION person_document(p_person integer) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- Phones: to those in charge, and to himself.
    RETURN (SELECT json_build_object('code', p.code, 'name', p.name, 'role', p.role, 'area', a.code, 'reports_to', u.code, 'deputy', d.code,
            'phones', CASE WHEN asker_role() IN ('supervisor', 'administrator') OR p.person_id = asker_person() THEN (
                SELECT coalesce(json_agg(h.phone ORDER BY h.position), '[]') FROM person_phones h
                WHERE h.branch_id = p.branch_id AND h.person_id = p.person_id) END,
            'retailers', n.retailers, 'open_follow_ups', n.open_follow_ups,
            'retired_at', p.retired_at)
        FROM people p
        LEFT JOIN areas a ON a.branch_id = p.branch_id AND a.area_id = p.area_id
        LEFT JOIN people u ON u.branch_id = p.branch_id AND u.person_id = p.reports_to_id
        LEFT JOIN people d ON d.branch_id = p.branch_id AND d.person_id = p.deputy_id
        LEFT JOIN LATERAL person_load(p.person_id) n ON true
        WHERE p.branch_id = asker_branch() AND p.person_id = p_person);
END $$;
COMMENT ON FUNCTION person_document(integer) IS 'A person as the console shows him.';

CREATE OR REPLACE FUNCTION api_list_people(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after text := asked_cursor(p, 1) ->> 0;
    v_role text := asked_one(p, 'role', '{operator,account_manager,market_manager,supervisor,deliverer,inspector}');
    v_area integer := area_asked(p)::integer;
    v_above integer := person_asked(p, 'reports_to')::integer;
    v_prefix text := asked_text(p, 'q');
    v_retired boolean := coalesce(asked_flag(p, 'retired'), false);
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(person_document(x.person_id)), array_agg(jsonb_build_array(x.code)) INTO v_items, v_keys
    FROM (SELECT o.person_id, o.code FROM people o
          WHERE o.branch_id = asker_branch() AND (o.retired_at IS NOT NULL) = v_retired AND (v_after IS NULL OR o.code > v_after)
            AND (v_role IS NULL OR o.role = v_role) AND (v_area IS NULL OR o.area_id = v_area)
            AND (v_above IS NULL OR o.reports_to_id = v_above)
            AND (v_prefix IS NULL OR starts_with(o.code, v_prefix) OR starts_with(o.name, v_prefix))
          ORDER BY o.code LIMIT v_limit + 1) x;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_people(jsonb) IS 'People by code.';

CREATE OR REPLACE FUNCTION api_get_person(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_person integer := (SELECT person_id FROM people WHERE branch_id = asker_branch() AND code = p #>> '{path,code}');
BEGIN
    IF v_person IS NULL THEN
        PERFORM found_nothing('person');
    END IF;
    RETURN answer_json(person_document(v_person));
END $$;
COMMENT ON FUNCTION api_get_person(jsonb) IS 'One person.';

CREATE OR REPLACE FUNCTION product_summary(d products) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('code', d.code, 'name', d.name, 'price_fen', d.price_fen, 'price_class', d.price_class, 'scarce', d.scarce,
                              'controlled', d.controlled, 'retired_at', d.retired_at)
$$;
COMMENT ON FUNCTION product_summary(products) IS 'A product as lists show it.';

CREATE OR REPLACE FUNCTION api_list_products(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after text := asked_cursor(p, 1) ->> 0;
    v_prefix text := asked_text(p, 'q');
    v_scarce boolean := asked_flag(p, 'scarce');
    v_retired boolean := coalesce(asked_flag(p, 'retired'), false);
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(product_summary(x)::json), array_agg(jsonb_build_array(x.code)) INTO v_items, v_keys
    FROM (SELECT * FROM products d
          WHERE d.branch_id = asker_branch() AND (d.retired_at IS NOT NULL) = v_retired AND (v_after IS NULL OR d.code > v_after)
            AND (v_scarce IS NULL OR d.scarce = v_scarce)
            AND (v_prefix IS NULL OR starts_with(d.code, v_prefix) OR starts_with(d.name, v_prefix))
          ORDER BY d.code LIMIT v_limit + 1) x;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_products(jsonb) IS 'Products by code.';

CREATE OR REPLACE FUNCTION api_get_product(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_product products;
BEGIN
    SELECT * INTO v_product FROM products WHERE branch_id = asker_branch() AND code = p #>> '{path,code}';
    IF NOT FOUND THEN
        PERFORM found_nothing('product');
    END IF;
    -- Caps for single retailers only of those who asks may see.
    RETURN answer_json(product_summary(v_product) || jsonb_build_object(
        'substitutes', (SELECT coalesce(jsonb_agg(s.code ORDER BY x.position), '[]') FROM product_substitutes x
                        JOIN products s ON s.branch_id = x.branch_id AND s.product_id = x.substitute_id
                        WHERE x.branch_id = v_product.branch_id AND x.product_id = v_product.product_id),
        'caps', (SELECT coalesce(jsonb_agg(jsonb_build_object('cartons', c.cartons, 'tier', c.tier, 'market_type', c.market_type,
                            'trade_type', c.trade_type, 'area', a.code, 'class', c.class, 'retailer', r.code) ORDER BY c.specificity DESC, c.cap_id), '[]')
                 FROM (SELECT * FROM caps c WHERE c.branch_id = v_product.branch_id AND c.product_id = v_product.product_id
                       ORDER BY c.specificity DESC, c.cap_id LIMIT 1000) c
                 LEFT JOIN areas a ON a.branch_id = c.branch_id AND a.area_id = c.area_id
                 LEFT JOIN retailers r ON r.branch_id = c.branch_id AND r.retailer_id = c.retailer_id
                 WHERE c.retailer_id IS NULL OR r.retailer_id IS NOT NULL)));
END $$;
COMMENT ON FUNCTION api_get_product(jsonb) IS 'One product with its substitutes and caps, the most specific first.';

GRANT EXECUTE ON FUNCTION person_load, person_document, api_list_people, api_get_person, product_summary, api_list_products, api_get_product TO ringback_console;
