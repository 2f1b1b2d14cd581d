-- What the four imports share. Each import is two functions over the temporary table "incoming", which the tool filled with the
-- rows of a file: import_X_faults finds what only the database or the file as a whole can tell (unknown codes, a key twice), and
-- import_X stores what has no faults. Both run in the tool's transaction, as the owner, under the branch's import lock.
--
-- p_columns: the columns that the file has; one that it has not keeps what is there. Rows of retailers are locked FOR NO KEY
-- UPDATE at most, which never meets the key shares that intake takes, and caps are exchanged under its snapshots.

CREATE OR REPLACE FUNCTION repeated_codes() RETURNS TABLE (line integer, field text, reason text)
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT i.line, 'code', format('"%s" is in line %s already', i.code, i.first)
        FROM (SELECT x.line, x.code, min(x.line) OVER (PARTITION BY x.code) AS first FROM incoming x) i
        WHERE i.line > i.first;
END $$;
COMMENT ON FUNCTION repeated_codes() IS 'Faults: codes that are twice in the file.';

CREATE OR REPLACE FUNCTION make_areas(p_branch integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO areas (branch_id, code)
    SELECT p_branch, n.area FROM (SELECT DISTINCT area FROM incoming WHERE area IS NOT NULL) n
    WHERE NOT EXISTS (SELECT FROM areas a WHERE a.branch_id = p_branch AND a.code = n.area) ORDER BY n.area
    ON CONFLICT (branch_id, code) DO NOTHING;
END $$;
COMMENT ON FUNCTION make_areas(integer) IS 'Makes the areas that the file names first.';

CREATE OR REPLACE FUNCTION note_import(p_branch integer, p_actor text, p_kind text, p_file text, p_added bigint, p_changed bigint,
                                       p_removed bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF p_added + p_changed + p_removed > 0 THEN
        PERFORM write_audit(p_branch, p_actor, 'import', p_kind, jsonb_build_object('file', p_file, 'added', p_added,
            'changed', p_changed, 'removed', p_removed));
    END IF;
END $$;
COMMENT ON FUNCTION note_import(integer, text, text, text, bigint, bigint, bigint) IS 'Audits an import that changed something.';
