-- Figures as CSV (RFC 4180), for spreadsheets: UTF-8 with a byte order mark, without which Excel takes Chinese for another
-- encoding, and no cell that a spreadsheet would compute.

CREATE OR REPLACE FUNCTION csv_cell(p_value jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(p_value)
        WHEN 'null' THEN ''
        WHEN 'string' THEN (
            -- What begins so is a formula to a spreadsheet, to some in full width too: an apostrophe makes it text.
            SELECT CASE WHEN t.safe ~ '[",\r\n]' THEN '"' || replace(t.safe, '"', '""') || '"' ELSE t.safe END
            FROM (SELECT CASE WHEN p_value #>> '{}' ~ '^[[:space:]]*[-=+@\t\r＝＋－＠]' THEN '''' ELSE '' END || (p_value #>> '{}') AS safe) t)
        ELSE p_value #>> '{}' END
$$;
GRANT EXECUTE ON FUNCTION csv_cell TO ringback_console;
COMMENT ON FUNCTION csv_cell(jsonb) IS 'One cell: texts quoted where needed and never a formula, numbers and truth values as they are, null empty.';

CREATE OR REPLACE FUNCTION answer_csv(p_columns text[], p_rows jsonb) RETURNS answer LANGUAGE sql STABLE AS $$
    SELECT (200, 'text/csv; charset=utf-8', NULL, NULL,
            E'\uFEFF' || array_to_string(p_columns, ',') || E'\r\n' || coalesce((
                SELECT string_agg((SELECT string_agg(csv_cell(c.cell), ',' ORDER BY c.n)
                                   FROM jsonb_array_elements(r.line) WITH ORDINALITY AS c (cell, n)) || E'\r\n', '' ORDER BY r.n)
                FROM jsonb_array_elements(p_rows) WITH ORDINALITY AS r (line, n)), ''),
            NULL, NULL)::answer
$$;
GRANT EXECUTE ON FUNCTION answer_csv TO ringback_console;
COMMENT ON FUNCTION answer_csv(text[], jsonb) IS 'A CSV document: a header line and an array of arrays of cells.';

CREATE OR REPLACE FUNCTION asked_csv(p jsonb) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF coalesce(p #>> '{query,format}', 'json') NOT IN ('json', 'csv') THEN
        PERFORM refuse(400, 'bad-request', 'format is json or csv');
    END IF;
    RETURN p #>> '{query,format}' IS NOT DISTINCT FROM 'csv';
END $$;
GRANT EXECUTE ON FUNCTION asked_csv TO ringback_console;
COMMENT ON FUNCTION asked_csv(jsonb) IS 'Whether the answer is to be CSV (format=csv) instead of JSON.';
