-- Import of retailers: see 50-import.sql. Half a million of them at once is a usual first load.

CREATE OR REPLACE FUNCTION import_retailers_faults(p_branch integer, p_columns text[])
RETURNS TABLE (line integer, field text, reason text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT * FROM repeated_codes();

    RETURN QUERY SELECT i.line, 'manager', CASE WHEN p.person_id IS NULL THEN format('there is no person "%s"', i.manager)
                                                WHEN p.retired_at IS NOT NULL THEN format('"%s" is retired', i.manager)
                                                ELSE format('"%s" is no account_manager but %s', i.manager, p.role) END
        FROM incoming i LEFT JOIN people p ON p.branch_id = p_branch AND p.code = i.manager
        WHERE i.manager IS NOT NULL
          AND (p.person_id IS NULL OR p.retired_at IS NOT NULL OR p.role <> 'account_manager');
END $$;
COMMENT ON FUNCTION import_retailers_faults(integer, text[]) IS 'Faults of a retailers file that its cells alone do not show.';

CREATE OR REPLACE FUNCTION retailer_values(p_name text, p_phones text[], p_manager text, p_area text, p_route text, r retailers)
RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('name', p_name, 'phones', p_phones, 'manager', p_manager, 'area', p_area, 'route', p_route)
        || to_jsonb(r) - '{branch_id,retailer_id,code,manager_id,area_id,route_id,created_at,changed_at,name}'::text[]
$$;
COMMENT ON FUNCTION retailer_values(text, text[], text, text, text, retailers) IS
    'A retailer as its history shows it: by the names of the file, with codes instead of ids.';

CREATE OR REPLACE FUNCTION import_retailers(p_branch integer, p_columns text[], p_actor text, p_file text)
RETURNS TABLE (added bigint, changed bigint, removed bigint, unchanged bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM make_areas(p_branch);
    INSERT INTO routes (branch_id, code)
        SELECT p_branch, n.route FROM (SELECT DISTINCT route FROM incoming WHERE route IS NOT NULL) n
        WHERE NOT EXISTS (SELECT FROM routes o WHERE o.branch_id = p_branch AND o.code = n.route) ORDER BY n.route
        ON CONFLICT (branch_id, code) DO NOTHING;

    -- What changes about retailers that are known, found before anything is written.
    CREATE TEMP TABLE changing ON COMMIT DROP AS
    SELECT r AS before, h.phones AS old_phones, m.code AS old_manager, a.code AS old_area, o.code AS old_route,
           n.*, na.code AS area, no.code AS route
    FROM incoming i
    JOIN retailers r ON r.branch_id = p_branch AND r.code = i.code
    JOIN people m ON m.branch_id = p_branch AND m.person_id = r.manager_id
    JOIN people nm ON nm.branch_id = p_branch AND nm.code = i.manager
    LEFT JOIN areas a ON a.branch_id = p_branch AND a.area_id = r.area_id
    LEFT JOIN routes o ON o.branch_id = p_branch AND o.route_id = r.route_id
    LEFT JOIN areas na ON na.branch_id = p_branch AND na.code = CASE WHEN 'area' = ANY (p_columns) THEN i.area ELSE a.code END
    LEFT JOIN routes no ON no.branch_id = p_branch AND no.code = CASE WHEN 'route' = ANY (p_columns) THEN i.route ELSE o.code END
    LEFT JOIN (SELECT retailer_id, array_agg(phone ORDER BY position) AS phones FROM retailer_phones
               WHERE branch_id = p_branch GROUP BY retailer_id) h ON h.retailer_id = r.retailer_id
    CROSS JOIN LATERAL (SELECT r.retailer_id, i.name, i.phones, i.manager, nm.person_id AS manager_id, na.area_id, no.route_id,
        CASE WHEN 'order_day' = ANY (p_columns) THEN i.order_day ELSE r.order_day END AS order_day,
        CASE WHEN 'tier' = ANY (p_columns) THEN i.tier ELSE r.tier END AS tier,
        CASE WHEN 'class' = ANY (p_columns) THEN i.class ELSE r.class END AS class,
        CASE WHEN 'compliance' = ANY (p_columns) THEN i.compliance ELSE r.compliance END AS compliance,
        CASE WHEN 'market_type' = ANY (p_columns) THEN i.market_type ELSE r.market_type END AS market_type,
        CASE WHEN 'trade_type' = ANY (p_columns) THEN i.trade_type ELSE r.trade_type END AS trade_type,
        CASE WHEN 'business_circle' = ANY (p_columns) THEN i.business_circle ELSE r.business_circle END AS business_circle,
        CASE WHEN 'settlement' = ANY (p_columns) THEN i.settlement ELSE r.settlement END AS settlement,
        CASE WHEN 'licence' = ANY (p_columns) THEN i.licence ELSE r.licence END AS licence,
        CASE WHEN 'legal_person' = ANY (p_columns) THEN i.legal_person ELSE r.legal_person END AS legal_person,
        CASE WHEN 'family' = ANY (p_columns) THEN i.family ELSE r.family END AS family,
        CASE WHEN 'monthly_volume' = ANY (p_columns) THEN i.monthly_volume ELSE r.monthly_volume END AS monthly_volume,
        CASE WHEN 'address' = ANY (p_columns) THEN i.address ELSE r.address END AS address) n
    WHERE (r.name, r.manager_id, r.area_id, r.route_id, r.order_day, r.tier, r.class, r.compliance, r.market_type, r.trade_type,
           r.business_circle, r.settlement, r.licence, r.legal_person, r.family, r.monthly_volume, r.address, r.retired_at,
           h.phones)
        IS DISTINCT FROM
          (n.name, n.manager_id, n.area_id, n.route_id, n.order_day, n.tier, n.class, n.compliance, n.market_type, n.trade_type,
           n.business_circle, n.settlement, n.licence, n.legal_person, n.family, n.monthly_volume, n.address, NULL::timestamptz,
           n.phones);
    GET DIAGNOSTICS changed = ROW_COUNT;

    INSERT INTO retailers (branch_id, code, name, manager_id, area_id, route_id, order_day, tier, class, compliance, market_type,
                           trade_type, business_circle, settlement, licence, legal_person, family, monthly_volume, address)
        SELECT p_branch, i.code, i.name, m.person_id, a.area_id, o.route_id, i.order_day, i.tier, i.class, i.compliance,
               i.market_type, i.trade_type, i.business_circle, i.settlement, i.licence, i.legal_person, i.family,
               i.monthly_volume, i.address
        FROM incoming i
        JOIN people m ON m.branch_id = p_branch AND m.code = i.manager
        LEFT JOIN areas a ON a.branch_id = p_branch AND a.code = i.area
        LEFT JOIN routes o ON o.branch_id = p_branch AND o.code = i.route
        WHERE NOT EXISTS (SELECT FROM retailers r WHERE r.branch_id = p_branch AND r.code = i.code)
        ORDER BY i.line;
    GET DIAGNOSTICS added = ROW_COUNT;

    -- Afterwards those without phones are the new ones and the ones whose phones change.
    DELETE FROM retailer_phones h USING changing c
        WHERE h.branch_id = p_branch AND h.retailer_id = c.retailer_id AND c.phones IS DISTINCT FROM c.old_phones;
    INSERT INTO retailer_phones (branch_id, retailer_id, phone, position)
        SELECT p_branch, r.retailer_id, h.phone, h.position
        FROM incoming i JOIN retailers r ON r.branch_id = p_branch AND r.code = i.code
        CROSS JOIN unnest(i.phones) WITH ORDINALITY h (phone, position)
        WHERE NOT EXISTS (SELECT FROM retailer_phones p WHERE p.branch_id = p_branch AND p.retailer_id = r.retailer_id);
    UPDATE retailers r SET name = c.name, manager_id = c.manager_id, area_id = c.area_id, route_id = c.route_id,
            order_day = c.order_day, tier = c.tier, class = c.class, compliance = c.compliance, market_type = c.market_type,
            trade_type = c.trade_type, business_circle = c.business_circle, settlement = c.settlement, licence = c.licence,
            legal_person = c.legal_person, family = c.family, monthly_volume = c.monthly_volume, address = c.address,
            retired_at = NULL, changed_at = now()
        FROM changing c WHERE r.branch_id = p_branch AND r.retailer_id = c.retailer_id;
    INSERT INTO retailer_changes (branch_id, retailer_id, changed_by, old_values, new_values)
        SELECT p_branch, c.retailer_id, p_actor,
               jsonb_object_agg(v.key, v.value), jsonb_object_agg(v.key, w.new_values -> v.key)
        FROM changing c
        JOIN retailers r ON r.branch_id = p_branch AND r.retailer_id = c.retailer_id
        CROSS JOIN LATERAL (SELECT retailer_values(c.name, c.phones, c.manager, c.area, c.route, r) AS new_values OFFSET 0) w
        CROSS JOIN LATERAL jsonb_each(retailer_values((c.before).name, c.old_phones, c.old_manager, c.old_area, c.old_route,
                                                      c.before)) v
        WHERE v.value <> w.new_values -> v.key
        GROUP BY c.retailer_id ORDER BY c.retailer_id;

    removed := 0;
    SELECT count(*) - added - changed INTO unchanged FROM incoming;
    PERFORM note_import(p_branch, p_actor, 'retailers', p_file, added, changed, removed);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION import_retailers(integer, text[], text, text) IS
    'Adds and changes retailers as "incoming" says; each change goes into their history.';
