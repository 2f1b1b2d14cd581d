-- Import of products: see 50-import.sql.

CREATE OR REPLACE FUNCTION import_products_faults(p_branch integer, p_columns text[])
RETURNS TABLE (line integer, field text, reason text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT * FROM repeated_codes();

    RETURN QUERY SELECT i.line, 'substitutes', CASE WHEN s.code = i.code THEN 'names the product itself'
                                                    WHEN s.times > 1 THEN format('names "%s" twice', s.code)
                                                    WHEN p.retired_at IS NOT NULL THEN format('"%s" is retired', s.code)
                                                    ELSE format('there is no product "%s"', s.code) END
        FROM incoming i
        CROSS JOIN LATERAL (SELECT u.code, count(*) AS times FROM unnest(i.substitutes) u (code) GROUP BY u.code) s
        LEFT JOIN products p ON p.branch_id = p_branch AND p.code = s.code
        WHERE s.code = i.code OR s.times > 1
           OR (p.product_id IS NULL OR p.retired_at IS NOT NULL) AND NOT EXISTS (SELECT FROM incoming n WHERE n.code = s.code);
END $$;
COMMENT ON FUNCTION import_products_faults(integer, text[]) IS 'Faults of a products file that its cells alone do not show.';

CREATE OR REPLACE FUNCTION import_products(p_branch integer, p_columns text[], p_actor text, p_file text)
RETURNS TABLE (added bigint, changed bigint, removed bigint, unchanged bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_known integer[];
    v_changed integer[];
    v_others integer[];
BEGIN
    SELECT coalesce(array_agg(p.product_id), '{}') INTO v_known
        FROM incoming i JOIN products p ON p.branch_id = p_branch AND p.code = i.code;

    WITH wanted AS (
        SELECT p.product_id, i.name, i.price_fen,
               CASE WHEN 'price_class' = ANY (p_columns) THEN i.price_class ELSE p.price_class END AS price_class,
               CASE WHEN 'scarce' = ANY (p_columns) THEN i.scarce ELSE p.scarce END AS scarce,
               CASE WHEN 'controlled' = ANY (p_columns) THEN i.controlled ELSE p.controlled END AS controlled
        FROM incoming i JOIN products p ON p.branch_id = p_branch AND p.code = i.code
    ), done AS (
        UPDATE products p SET name = w.name, price_fen = w.price_fen, price_class = w.price_class, scarce = w.scarce,
                              controlled = w.controlled, retired_at = NULL
        FROM wanted w
        WHERE p.branch_id = p_branch AND p.product_id = w.product_id
          AND (p.name, p.price_fen, p.price_class, p.scarce, p.controlled, p.retired_at)
              IS DISTINCT FROM (w.name, w.price_fen, w.price_class, w.scarce, w.controlled, NULL)
        RETURNING p.product_id
    ) SELECT array_agg(product_id) INTO v_changed FROM done;
    INSERT INTO products (branch_id, code, name, price_fen, price_class, scarce, controlled)
        SELECT p_branch, i.code, i.name, i.price_fen, i.price_class, coalesce(i.scarce, false), coalesce(i.controlled, false)
        FROM incoming i
        WHERE NOT EXISTS (SELECT FROM products p WHERE p.branch_id = p_branch AND p.code = i.code) ORDER BY i.line;

    IF 'substitutes' = ANY (p_columns) THEN
        SELECT array_agg(p.product_id) INTO v_others
        FROM incoming i JOIN products p ON p.branch_id = p_branch AND p.code = i.code
        WHERE coalesce(i.substitutes, '{}') <> ARRAY(SELECT o.code FROM product_substitutes s
            JOIN products o ON o.branch_id = p_branch AND o.product_id = s.substitute_id
            WHERE s.branch_id = p_branch AND s.product_id = p.product_id ORDER BY s.position);
        DELETE FROM product_substitutes WHERE branch_id = p_branch AND product_id = ANY (v_others);
        INSERT INTO product_substitutes (branch_id, product_id, substitute_id, position)
            SELECT p_branch, p.product_id, o.product_id, s.position
            FROM incoming i JOIN products p ON p.branch_id = p_branch AND p.code = i.code
            CROSS JOIN unnest(i.substitutes) WITH ORDINALITY s (code, position)
            JOIN products o ON o.branch_id = p_branch AND o.code = s.code
            WHERE p.product_id = ANY (v_others);
    END IF;

    SELECT count(*) - cardinality(v_known) INTO added FROM incoming;
    SELECT count(*) INTO changed FROM unnest(v_known) k (id) WHERE k.id = ANY (v_changed || v_others);
    removed := 0;
    unchanged := cardinality(v_known) - changed;
    PERFORM note_import(p_branch, p_actor, 'products', p_file, added, changed, removed);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION import_products(integer, text[], text, text) IS 'Adds and changes products as "incoming" says.';
