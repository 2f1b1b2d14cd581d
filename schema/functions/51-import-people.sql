-- Import of people: see 50-import.sql.

CREATE OR REPLACE FUNCTION import_people_faults(p_branch integer, p_columns text[])
RETURNS TABLE (line integer, field text, reason text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT * FROM repeated_codes();

    RETURN QUERY SELECT i.line, r.field, CASE WHEN r.code = i.code THEN 'names the person himself'
                                              WHEN p.retired_at IS NOT NULL THEN format('"%s" is retired', r.code)
                                              ELSE format('there is no person "%s"', r.code) END
        FROM incoming i
        CROSS JOIN LATERAL (VALUES ('reports_to', i.reports_to), ('deputy', i.deputy)) r (field, code)
        LEFT JOIN people p ON p.branch_id = p_branch AND p.code = r.code
        WHERE r.code = i.code
           OR r.code IS NOT NULL AND (p.person_id IS NULL OR p.retired_at IS NOT NULL)
              AND NOT EXISTS (SELECT FROM incoming n WHERE n.code = r.code);

    -- Who would be above whom: what the file says, and what is known of the others.
    RETURN QUERY WITH RECURSIVE above AS (
            SELECT coalesce(i.code, p.code) AS code,
                   CASE WHEN i.code IS NOT NULL AND 'reports_to' = ANY (p_columns) THEN i.reports_to ELSE b.code END AS boss
            FROM (SELECT * FROM people WHERE branch_id = p_branch) p
            FULL JOIN incoming i ON i.code = p.code
            LEFT JOIN people b ON b.branch_id = p_branch AND b.person_id = p.reports_to_id
        ), walk AS (
            SELECT i.line, i.code AS start, a.boss AS at, ARRAY[a.boss] AS way
            FROM incoming i JOIN above a ON a.code = i.code WHERE a.boss <> i.code
            UNION ALL
            SELECT w.line, w.start, a.boss, w.way || a.boss FROM walk w JOIN above a ON a.code = w.at
            WHERE w.at <> w.start AND a.boss IS NOT NULL AND a.boss <> ALL (w.way)
        )
        SELECT DISTINCT w.line, 'reports_to', format('goes round in a circle: %s, %s', w.start, array_to_string(w.way, ', '))
        FROM walk w WHERE w.at = w.start;

    RETURN QUERY SELECT i.line, 'role', format('%s is the account manager of %s retailers: give them to another one first',
                                               i.code, count(*))
        FROM incoming i
        JOIN people p ON p.branch_id = p_branch AND p.code = i.code AND p.role = 'account_manager'
        JOIN retailers r ON r.branch_id = p_branch AND r.manager_id = p.person_id AND r.retired_at IS NULL
        WHERE i.role <> 'account_manager'
        GROUP BY i.line, i.code;
END $$;
COMMENT ON FUNCTION import_people_faults(integer, text[]) IS 'Faults of a people file that its cells alone do not show.';

CREATE OR REPLACE FUNCTION import_people(p_branch integer, p_columns text[], p_actor text, p_file text)
RETURNS TABLE (added bigint, changed bigint, removed bigint, unchanged bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_known integer[];
    v_changed integer[];
    v_phones integer[];
BEGIN
    PERFORM make_areas(p_branch);
    SELECT coalesce(array_agg(p.person_id), '{}') INTO v_known
        FROM incoming i JOIN people p ON p.branch_id = p_branch AND p.code = i.code;
    INSERT INTO people (branch_id, code, name, role)
        SELECT p_branch, i.code, i.name, i.role FROM incoming i
        WHERE NOT EXISTS (SELECT FROM people p WHERE p.branch_id = p_branch AND p.code = i.code) ORDER BY i.line;

    -- Only now everybody has a number that others can refer to.
    WITH wanted AS (
        SELECT p.person_id, i.name, i.role,
               CASE WHEN 'area' = ANY (p_columns) THEN a.area_id ELSE p.area_id END AS area_id,
               CASE WHEN 'reports_to' = ANY (p_columns) THEN b.person_id ELSE p.reports_to_id END AS reports_to_id,
               CASE WHEN 'deputy' = ANY (p_columns) THEN d.person_id ELSE p.deputy_id END AS deputy_id
        FROM incoming i
        JOIN people p ON p.branch_id = p_branch AND p.code = i.code
        LEFT JOIN areas a ON a.branch_id = p_branch AND a.code = i.area
        LEFT JOIN people b ON b.branch_id = p_branch AND b.code = i.reports_to
        LEFT JOIN people d ON d.branch_id = p_branch AND d.code = i.deputy
    ), done AS (
        UPDATE people p SET name = w.name, role = w.role, area_id = w.area_id, reports_to_id = w.reports_to_id,
                            deputy_id = w.deputy_id, retired_at = NULL
        FROM wanted w
        WHERE p.branch_id = p_branch AND p.person_id = w.person_id
          AND (p.name, p.role, p.area_id, p.reports_to_id, p.deputy_id, p.retired_at)
              IS DISTINCT FROM (w.name, w.role, w.area_id, w.reports_to_id, w.deputy_id, NULL)
        RETURNING p.person_id
    ) SELECT array_agg(person_id) INTO v_changed FROM done;

    IF 'phones' = ANY (p_columns) THEN
        SELECT array_agg(p.person_id) INTO v_phones
        FROM incoming i JOIN people p ON p.branch_id = p_branch AND p.code = i.code
        WHERE coalesce(i.phones, '{}') <> ARRAY(SELECT h.phone FROM person_phones h
            WHERE h.branch_id = p_branch AND h.person_id = p.person_id ORDER BY h.position);
        DELETE FROM person_phones WHERE branch_id = p_branch AND person_id = ANY (v_phones);
        INSERT INTO person_phones (branch_id, person_id, phone, position)
            SELECT p_branch, p.person_id, h.phone, h.position
            FROM incoming i JOIN people p ON p.branch_id = p_branch AND p.code = i.code
            CROSS JOIN unnest(i.phones) WITH ORDINALITY h (phone, position)
            WHERE p.person_id = ANY (v_phones);
    END IF;

    SELECT count(*) - cardinality(v_known) INTO added FROM incoming;
    SELECT count(*) INTO changed FROM unnest(v_known) k (id) WHERE k.id = ANY (v_changed || v_phones);
    removed := 0;
    unchanged := cardinality(v_known) - changed;
    PERFORM note_import(p_branch, p_actor, 'people', p_file, added, changed, removed);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION import_people(integer, text[], text, text) IS 'Adds and changes people as "incoming" says.';
