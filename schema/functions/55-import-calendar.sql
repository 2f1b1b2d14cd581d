-- Import of a calendar: see 50-import.sql. The file is the whole calendar, a row a weekday's hours or a day that is otherwise;
-- what it means and what is wrong with it is 25-calendar.sql's, which the console asks too.

CREATE OR REPLACE FUNCTION incoming_calendar() RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(to_jsonb(i) || jsonb_build_object('at', 'line ' || i.line) ORDER BY i.line), '[]') FROM incoming i);
END $$;
COMMENT ON FUNCTION incoming_calendar() IS 'The rows of a calendar file.';

CREATE OR REPLACE FUNCTION import_calendar_faults(p_branch integer, p_columns text[])
RETURNS TABLE (line integer, field text, reason text)
LANGUAGE sql AS $$
    SELECT substr(f.at, 6)::integer, f.field, f.reason FROM calendar_faults(incoming_calendar()) f
$$;
COMMENT ON FUNCTION import_calendar_faults(integer, text[]) IS 'Faults of a calendar file that its cells alone do not show.';

CREATE OR REPLACE FUNCTION import_calendar(p_branch integer, p_columns text[], p_actor text, p_file text)
RETURNS TABLE (added bigint, changed bigint, removed bigint, unchanged bigint)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.added, c.changed, c.removed, c.unchanged INTO added, changed, removed, unchanged
        FROM set_calendar(p_branch, incoming_calendar(), p_actor) c;
    PERFORM note_import(p_branch, p_actor, 'calendar', p_file, added, changed, removed);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION import_calendar(integer, text[], text, text) IS 'Makes the branch''s calendar what "incoming" says.';
