-- Import of caps: see 50-import.sql. The file is the whole truth about caps; rows that stay the same are left alone.

CREATE OR REPLACE FUNCTION import_caps_faults(p_branch integer, p_columns text[])
RETURNS TABLE (line integer, field text, reason text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT i.line, 'product', CASE WHEN p.product_id IS NULL THEN format('there is no product "%s"', i.product)
                                                ELSE format('"%s" is retired', i.product) END
        FROM incoming i LEFT JOIN products p ON p.branch_id = p_branch AND p.code = i.product
        WHERE p.product_id IS NULL OR p.retired_at IS NOT NULL;
    RETURN QUERY SELECT i.line, 'retailer', CASE WHEN r.retailer_id IS NULL THEN format('there is no retailer "%s"', i.retailer)
                                                 ELSE format('"%s" is retired', i.retailer) END
        FROM incoming i LEFT JOIN retailers r ON r.branch_id = p_branch AND r.code = i.retailer
        WHERE i.retailer IS NOT NULL AND (r.retailer_id IS NULL OR r.retired_at IS NOT NULL);
    RETURN QUERY SELECT i.line, 'area', format('there is no area "%s"', i.area)
        FROM incoming i
        WHERE i.area IS NOT NULL AND NOT EXISTS (SELECT FROM areas a WHERE a.branch_id = p_branch AND a.code = i.area);

    -- Two rules for one product that can both be the most specific one for somebody: both for the same retailer, or with equally
    -- many conditions of which none keeps them apart.
    RETURN QUERY WITH rule AS MATERIALIZED (
            SELECT i.*, CASE WHEN i.retailer IS NULL THEN num_nonnulls(i.tier, i.market_type, i.trade_type, i.area, i.class)
                             ELSE 100 END AS rank,
                   coalesce(i.retailer, '') AS whose
            FROM incoming i
        )
        SELECT b.line, '-', CASE WHEN bool_or((a.tier, a.market_type, a.trade_type, a.area, a.class)
                                              IS NOT DISTINCT FROM (b.tier, b.market_type, b.trade_type, b.area, b.class))
                                 THEN format('the same conditions for "%s" are in line %s already', b.product, min(a.line))
                                 ELSE format('as specific as line %s for "%s", and both can hold for one retailer', min(a.line),
                                             b.product) END
        FROM rule a JOIN rule b ON b.product = a.product AND b.rank = a.rank AND b.whose = a.whose AND b.line > a.line
        WHERE coalesce(a.tier = b.tier, true) AND coalesce(a.market_type = b.market_type, true)
          AND coalesce(a.trade_type = b.trade_type, true) AND coalesce(a.area = b.area, true)
          AND coalesce(a.class = b.class, true)
        GROUP BY b.line, b.product;
END $$;
COMMENT ON FUNCTION import_caps_faults(integer, text[]) IS 'Faults of a caps file that its cells alone do not show.';

CREATE OR REPLACE FUNCTION import_caps(p_branch integer, p_columns text[], p_actor text, p_file text)
RETURNS TABLE (added bigint, changed bigint, removed bigint, unchanged bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_there bigint;
BEGIN
    CREATE TEMP TABLE wanted ON COMMIT DROP AS
        SELECT p.product_id, i.cartons, i.tier, i.market_type, i.trade_type, a.area_id, i.class, r.retailer_id,
               jsonb_build_array(p.product_id, i.tier, i.market_type, i.trade_type, a.area_id, i.class, r.retailer_id) AS rule
        FROM incoming i
        JOIN products p ON p.branch_id = p_branch AND p.code = i.product
        LEFT JOIN areas a ON a.branch_id = p_branch AND a.code = i.area
        LEFT JOIN retailers r ON r.branch_id = p_branch AND r.code = i.retailer;
    CREATE TEMP TABLE standing ON COMMIT DROP AS
        SELECT cap_id, cartons, jsonb_build_array(product_id, tier, market_type, trade_type, area_id, class, retailer_id) AS rule
        FROM caps WHERE branch_id = p_branch;
    ANALYZE wanted, standing;

    DELETE FROM caps c USING standing s
        WHERE c.branch_id = p_branch AND c.cap_id = s.cap_id
          AND NOT EXISTS (SELECT FROM wanted w WHERE w.rule = s.rule);
    GET DIAGNOSTICS removed = ROW_COUNT;
    UPDATE caps c SET cartons = w.cartons FROM standing s JOIN wanted w ON w.rule = s.rule
        WHERE c.branch_id = p_branch AND c.cap_id = s.cap_id AND s.cartons <> w.cartons;
    GET DIAGNOSTICS changed = ROW_COUNT;
    INSERT INTO caps (branch_id, product_id, cartons, tier, market_type, trade_type, area_id, class, retailer_id)
        SELECT p_branch, w.product_id, w.cartons, w.tier, w.market_type, w.trade_type, w.area_id, w.class, w.retailer_id
        FROM wanted w WHERE NOT EXISTS (SELECT FROM standing s WHERE s.rule = w.rule);
    GET DIAGNOSTICS added = ROW_COUNT;
    SELECT count(*) - added - changed INTO unchanged FROM wanted;
    PERFORM note_import(p_branch, p_actor, 'caps', p_file, added, changed, removed);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION import_caps(integer, text[], text, text) IS 'Makes the branch''s caps what "incoming" says.';
