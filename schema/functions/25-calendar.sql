-- Working time by a branch's calendar. A calendar is a whole version that is never changed; counted out into work_spans, it
-- answers every question by looking one or two spans up. Read by policies, the clock, and calls that came after hours.
--
-- Without a calendar every answer is null: nothing depends on working hours then. So it is for moments that are not counted
-- (more than 400 days before a calendar was made, or beyond what tidy() counted ahead).

CREATE OR REPLACE FUNCTION calendar_plan(p_branch integer, p_calendar integer, p_from date, p_until date)
RETURNS TABLE (day date, what text, name text, follows smallint, begins time[], ends time[])
LANGUAGE sql STABLE ROWS 366 AS $$
    SELECT g.day, coalesce(d.what, CASE WHEN cardinality(h.begins) > 0 THEN 'ordinary' ELSE 'free' END), d.name, d.follows,
           CASE d.what WHEN 'holiday' THEN '{}' WHEN 'special' THEN d.begins ELSE coalesce(h.begins, '{}') END,
           CASE d.what WHEN 'holiday' THEN '{}' WHEN 'special' THEN d.ends ELSE coalesce(h.ends, '{}') END
    FROM (SELECT p_from + n AS day FROM generate_series(0, p_until - p_from - 1) AS n) g
    LEFT JOIN calendar_days d ON d.branch_id = p_branch AND d.calendar_id = p_calendar AND d.day = g.day
    LEFT JOIN LATERAL (SELECT x.begins, x.ends FROM calendar_hours x
        WHERE x.branch_id = p_branch AND x.calendar_id = p_calendar
          AND x.weekday = coalesce(d.follows, extract(isodow FROM g.day)) AND x.valid_from <= g.day
        ORDER BY x.valid_from DESC LIMIT 1) h ON true
    ORDER BY g.day
$$;
GRANT EXECUTE ON FUNCTION calendar_plan TO ringback_console;
COMMENT ON FUNCTION calendar_plan(integer, integer, date, date) IS
    'What each day from p_from to before p_until is: ordinary, free, holiday, workday (made up) or special, with its working hours.';

-- The spans of a day that the clock skips (summer time) shrink or vanish; those of an hour that it repeats are its second one.
CREATE OR REPLACE FUNCTION count_calendar(p_branch integer, p_calendar integer, p_until date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    c calendars;
    v_worked bigint;
BEGIN
    SELECT * INTO STRICT c FROM calendars WHERE branch_id = p_branch AND calendar_id = p_calendar FOR NO KEY UPDATE;
    SELECT worked + extract(epoch FROM ends_at - starts_at)::bigint INTO v_worked FROM work_spans
        WHERE branch_id = p_branch AND calendar_id = p_calendar ORDER BY starts_at DESC LIMIT 1;
    INSERT INTO work_spans (branch_id, calendar_id, starts_at, ends_at, worked)
    SELECT p_branch, p_calendar, lower(s), upper(s), coalesce(v_worked, 0)
           + coalesce(sum(extract(epoch FROM upper(s) - lower(s))::bigint)
                      OVER (ORDER BY lower(s) ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
    FROM (SELECT unnest(range_agg(tstzrange(t.starts_at, t.ends_at))) AS s
          FROM calendar_plan(p_branch, p_calendar, c.counted_until, p_until) p
          CROSS JOIN LATERAL unnest(p.begins, p.ends) AS h (begins, ends)
          CROSS JOIN LATERAL (SELECT (p.day + h.begins) AT TIME ZONE c.timezone AS starts_at,
                                     (p.day + h.ends) AT TIME ZONE c.timezone AS ends_at) t
          WHERE t.starts_at < t.ends_at) q;
    UPDATE calendars SET counted_until = p_until WHERE branch_id = p_branch AND calendar_id = p_calendar;
END $$;
COMMENT ON FUNCTION count_calendar(integer, integer, date) IS 'Counts a calendar out from where it stopped to before p_until.';

CREATE OR REPLACE FUNCTION extend_calendars() RETURNS integer
LANGUAGE sql AS $$
    SELECT count(count_calendar(b.branch_id, b.calendar_id, current_date + 800))::integer
    FROM branches b JOIN calendars c USING (branch_id, calendar_id) WHERE c.counted_until < current_date + 700
$$;
COMMENT ON FUNCTION extend_calendars() IS 'Keeps the calendars in force counted two years ahead; says how many it went on with.';

-- Seconds of working time from the calendar's beginning to a moment. One look at the index.
CREATE OR REPLACE FUNCTION worked_until(p_branch integer, p_calendar integer, p_at timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
DECLARE
    c record;
    s record;
BEGIN
    SELECT k.counted_from, k.counted_until, k.timezone INTO c FROM calendars k
        WHERE k.branch_id = p_branch AND k.calendar_id = p_calendar;
    IF NOT FOUND OR p_at < c.counted_from::timestamp AT TIME ZONE c.timezone
        OR p_at > c.counted_until::timestamp AT TIME ZONE c.timezone THEN
        RETURN NULL;
    END IF;
    SELECT w.worked, w.starts_at, w.ends_at INTO s FROM work_spans w
        WHERE w.branch_id = p_branch AND w.calendar_id = p_calendar AND w.starts_at <= p_at ORDER BY w.starts_at DESC LIMIT 1;
    RETURN CASE WHEN FOUND THEN s.worked + extract(epoch FROM least(p_at, s.ends_at) - s.starts_at) ELSE 0 END;
END $$;
COMMENT ON FUNCTION worked_until(integer, integer, timestamptz) IS 'Seconds of working time that a calendar has up to a moment; null: not counted.';

CREATE OR REPLACE FUNCTION calendar_in_force(p_branch integer) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT calendar_id FROM branches WHERE branch_id = p_branch);
END $$;
COMMENT ON FUNCTION calendar_in_force(integer) IS 'The calendar of a branch, or null.';

CREATE OR REPLACE FUNCTION working_time_add(p_branch integer, p_from timestamptz, p_time interval, p_calendar integer DEFAULT NULL)
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_calendar integer := coalesce(p_calendar, calendar_in_force(p_branch));
    v_worked numeric;
    s record;
BEGIN
    IF v_calendar IS NULL OR p_time IS NULL THEN
        RETURN NULL;
    ELSIF p_time <= interval '0' THEN
        RETURN p_from;
    END IF;
    v_worked := worked_until(p_branch, v_calendar, p_from) + extract(epoch FROM p_time);
    SELECT w.worked, w.starts_at, w.ends_at INTO s FROM work_spans w
        WHERE w.branch_id = p_branch AND w.calendar_id = v_calendar AND w.worked < v_worked ORDER BY w.worked DESC LIMIT 1;
    IF v_worked - s.worked > extract(epoch FROM s.ends_at - s.starts_at) THEN
        RETURN NULL;
    END IF;
    RETURN s.starts_at + make_interval(secs => (v_worked - s.worked)::double precision);
END $$;
COMMENT ON FUNCTION working_time_add(integer, timestamptz, interval, integer) IS
    'The moment by which so much working time has passed; what ends with a span ends at its end, not with the next span''s beginning.';

CREATE OR REPLACE FUNCTION working_time_between(p_branch integer, p_from timestamptz, p_to timestamptz, p_calendar integer DEFAULT NULL)
RETURNS interval LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_calendar integer := coalesce(p_calendar, calendar_in_force(p_branch));
BEGIN
    RETURN make_interval(secs => (worked_until(p_branch, v_calendar, p_to) - worked_until(p_branch, v_calendar, p_from))::double precision);
END $$;
COMMENT ON FUNCTION working_time_between(integer, timestamptz, timestamptz, integer) IS 'Working time between two moments; negative when the second is the earlier.';

-- Spans that touch are one spell: a count that was taken up again at midnight is no closing time.
CREATE OR REPLACE FUNCTION closing_time(p_branch integer, p_at timestamptz, p_calendar integer DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_calendar integer := coalesce(p_calendar, calendar_in_force(p_branch));
    v_closes timestamptz;
    v_next timestamptz;
BEGIN
    SELECT w.ends_at INTO v_next FROM work_spans w
        WHERE w.branch_id = p_branch AND w.calendar_id = v_calendar AND w.starts_at <= p_at ORDER BY w.starts_at DESC LIMIT 1;
    IF v_next <= p_at THEN
        RETURN NULL;
    END IF;
    WHILE v_next IS NOT NULL LOOP
        v_closes := v_next;
        v_next := (SELECT w.ends_at FROM work_spans w
            WHERE w.branch_id = p_branch AND w.calendar_id = v_calendar AND w.starts_at = v_closes);
    END LOOP;
    RETURN v_closes;
END $$;
COMMENT ON FUNCTION closing_time(integer, timestamptz, integer) IS
    'When the spell of work ends that a moment is in, by a lunch break as by the evening; null: nobody works then.';

CREATE OR REPLACE FUNCTION is_working_time(p_branch integer, p_at timestamptz, p_calendar integer DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_calendar integer := coalesce(p_calendar, calendar_in_force(p_branch));
BEGIN
    IF v_calendar IS NULL OR worked_until(p_branch, v_calendar, p_at) IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN coalesce((SELECT w.ends_at > p_at FROM work_spans w
        WHERE w.branch_id = p_branch AND w.calendar_id = v_calendar AND w.starts_at <= p_at ORDER BY w.starts_at DESC LIMIT 1), false);
END $$;
COMMENT ON FUNCTION is_working_time(integer, timestamptz, integer) IS 'Whether somebody works at that moment; the moment of closing is outside.';

CREATE OR REPLACE FUNCTION next_working_moment(p_branch integer, p_at timestamptz, p_calendar integer DEFAULT NULL) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_calendar integer := coalesce(p_calendar, calendar_in_force(p_branch));
BEGIN
    RETURN CASE WHEN is_working_time(p_branch, p_at, v_calendar) THEN p_at
                ELSE (SELECT w.starts_at FROM work_spans w
                      WHERE w.branch_id = p_branch AND w.calendar_id = v_calendar AND w.starts_at > p_at
                      ORDER BY w.starts_at LIMIT 1) END;
END $$;
COMMENT ON FUNCTION next_working_moment(integer, timestamptz, integer) IS 'That moment if somebody works then, else when work begins again.';

-- Making one. The rows of a file and those of the console are the same: {"at", "what", "day", "until", "hours", "follows",
-- "name", "since"}, where "at" says where a row came from, in the file or in the body.

CREATE OR REPLACE FUNCTION spans_of(p_hours text, OUT begins time[], OUT ends time[], OUT fault text)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_span text;
    v_part text[];
BEGIN
    begins := '{}';
    ends := '{}';
    FOREACH v_span IN ARRAY regexp_split_to_array(btrim(coalesce(p_hours, '')), '\s*;\s*') LOOP
        CONTINUE WHEN v_span = '' AND cardinality(begins) = 0;
        v_part := regexp_match(v_span, '^(([01]?[0-9]|2[0-3]):[0-5][0-9])\s*-\s*(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$');
        IF v_part IS NULL THEN
            fault := format('"%s" is no span of hours: write 08:30-11:30;13:30-17:30', v_span);
        ELSIF v_part[1]::time >= v_part[3]::time THEN
            fault := format('"%s" ends before it begins: hours over midnight end at 24:00 and go on the next day at 00:00', v_span);
        ELSIF v_part[1]::time < ends[cardinality(ends)] THEN
            fault := format('"%s" begins before the one before it ends', v_span);
        END IF;
        EXIT WHEN fault IS NOT NULL;
        begins := begins || v_part[1]::time;
        ends := ends || v_part[3]::time;
    END LOOP;
END $$;
COMMENT ON FUNCTION spans_of(text) IS 'Hours as they are written, "08:30-11:30;13:30-17:30", as spans; or what is wrong with them.';

CREATE OR REPLACE FUNCTION spans_text(p_begins time[], p_ends time[]) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT coalesce(array_agg(to_char(x.begins, 'HH24:MI') || '-' || CASE WHEN x.ends = '24:00' THEN '24:00' ELSE to_char(x.ends, 'HH24:MI') END
                              ORDER BY x.begins), '{}')
    FROM unnest(p_begins, p_ends) AS x (begins, ends)
$$;
GRANT EXECUTE ON FUNCTION spans_text TO ringback_console;
COMMENT ON FUNCTION spans_text(time[], time[]) IS 'Spans as they are written: {08:30-11:30,13:30-17:30}.';

CREATE OR REPLACE FUNCTION date_of(p_text text) RETURNS date
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN p_text ~ '^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}$' THEN p_text::date END;
EXCEPTION WHEN datetime_field_overflow THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION date_of(text) IS 'A date that is written as 2026-10-01, else null.';

CREATE OR REPLACE FUNCTION calendar_rows(p_rows jsonb)
RETURNS TABLE (n bigint, at text, what text, day text, until text, hours text, follows text, name text, since text,
               weekday smallint, first date, last date, from_day date, begins time[], ends time[], fault text)
LANGUAGE sql IMMUTABLE ROWS 50 AS $$
    SELECT r.n, x.at, x.what, x.day, x.until, x.hours, x.follows, x.name, x.since,
           CASE WHEN x.what = 'weekly' AND x.day ~ '^[1-7]$' THEN x.day::smallint END,
           CASE WHEN x.what <> 'weekly' THEN date_of(x.day) END, CASE WHEN x.what <> 'weekly' THEN date_of(coalesce(x.until, x.day)) END,
           CASE WHEN x.since IS NULL THEN '-infinity' ELSE date_of(x.since) END, s.begins, s.ends, s.fault
    FROM jsonb_array_elements(p_rows) WITH ORDINALITY AS r (row, n)
    CROSS JOIN LATERAL jsonb_to_record(r.row) AS x (at text, what text, day text, until text, hours text, follows text, name text, since text)
    CROSS JOIN LATERAL spans_of(x.hours) s
$$;
COMMENT ON FUNCTION calendar_rows(jsonb) IS 'Rows of a calendar as they are written, and what they mean.';

CREATE OR REPLACE FUNCTION calendar_faults(p_rows jsonb) RETURNS TABLE (at text, field text, reason text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT r.at, f.field, f.reason FROM calendar_rows(p_rows) r CROSS JOIN LATERAL (VALUES
        ('hours', r.fault),
        ('day', CASE WHEN r.what = 'weekly' AND r.weekday IS NULL THEN format('"%s" is no weekday: 1 is Monday, 7 is Sunday', r.day)
                     WHEN r.what <> 'weekly' AND r.first IS NULL THEN format('"%s" is no date: write 2026-10-01', r.day) END),
        ('until', CASE WHEN r.until IS NULL THEN NULL
                       WHEN r.what = 'weekly' THEN 'a weekday has no until: give it other hours from a later day (since)'
                       WHEN r.last IS NULL THEN format('"%s" is no date: write 2026-10-08', r.until)
                       WHEN r.last < r.first THEN 'before the day itself'
                       WHEN r.last > r.first + 60 THEN 'more than two months: split it' END),
        ('since', CASE WHEN r.since IS NULL THEN NULL WHEN r.what <> 'weekly' THEN 'only weekly hours begin to hold some day'
                       WHEN r.from_day IS NULL THEN format('"%s" is no date: write 2026-05-01', r.since) END),
        ('hours', CASE WHEN r.fault IS NULL AND r.what = 'special' AND cardinality(r.begins) = 0 THEN 'special hours, but none given: is it a holiday?'
                       WHEN r.what IN ('holiday', 'workday') AND r.hours IS NOT NULL
                       THEN 'a holiday has no hours, a make-up workday those of the weekday that it follows' END),
        ('follows', CASE WHEN r.what = 'workday' AND coalesce(r.follows, '') !~ '^[1-7]$'
                         THEN 'say whose hours the make-up workday has: 1 Monday to 7 Sunday'
                         WHEN r.what <> 'workday' AND r.follows IS NOT NULL THEN 'only a make-up workday follows a weekday' END),
        ('name', CASE WHEN length(r.name) > 100 THEN 'longer than 100 characters' WHEN r.name ~ '[[:cntrl:]]' THEN 'holds a control character' END)
        ) f (field, reason) WHERE f.reason IS NOT NULL;
    RETURN QUERY SELECT b.at, 'day', format('the same day as in %s', min(a.at))
        FROM calendar_rows(p_rows) a JOIN calendar_rows(p_rows) b ON b.n > a.n
            AND ((a.weekday = b.weekday AND a.from_day = b.from_day) OR (a.first <= b.last AND b.first <= a.last))
        GROUP BY b.n, b.at;
    RETURN QUERY SELECT r.at, 'what', 'days, but no weekly hours: a calendar without hours would have nobody work'
        FROM calendar_rows(p_rows) r WHERE NOT EXISTS (SELECT FROM calendar_rows(p_rows) w WHERE cardinality(w.begins) > 0 AND w.what = 'weekly')
        ORDER BY r.n LIMIT 1;
END $$;
COMMENT ON FUNCTION calendar_faults(jsonb) IS 'What is wrong with the rows of a calendar, and where.';

-- Rows without faults become the calendar in force; none at all take it away. The same again makes no version.
-- Counted from 400 days back: follow-ups that are open keep being explained by what the day was.
CREATE OR REPLACE FUNCTION set_calendar(p_branch integer, p_rows jsonb, p_actor text,
                                        p_from date DEFAULT current_date - 400, p_until date DEFAULT current_date + 800,
                                        OUT added bigint, OUT changed bigint, OUT removed bigint, OUT unchanged bigint)
LANGUAGE plpgsql AS $$
DECLARE
    v_branch branches;
    v_calendar integer;
BEGIN
    SELECT * INTO STRICT v_branch FROM branches WHERE branch_id = p_branch FOR NO KEY UPDATE;
    WITH wanted AS (
        SELECT w.key, w.value FROM calendar_rows(p_rows) r CROSS JOIN LATERAL (
            SELECT 'weekly ' || r.weekday || ' ' || r.from_day AS key, array_to_string(spans_text(r.begins, r.ends), ';') AS value
            WHERE r.what = 'weekly'
            UNION ALL
            SELECT (r.first + d)::text, concat_ws('/', r.what, r.name, r.follows, spans_text(r.begins, r.ends)::text)
            FROM generate_series(0, r.last - r.first) d WHERE r.what <> 'weekly') w
    ), standing AS (
        SELECT 'weekly ' || h.weekday || ' ' || h.valid_from AS key, array_to_string(spans_text(h.begins, h.ends), ';') AS value
        FROM calendar_hours h WHERE h.branch_id = p_branch AND h.calendar_id = v_branch.calendar_id
        UNION ALL
        SELECT d.day::text, concat_ws('/', d.what, d.name, d.follows, spans_text(d.begins, d.ends)::text)
        FROM calendar_days d WHERE d.branch_id = p_branch AND d.calendar_id = v_branch.calendar_id
    )
    SELECT count(*) FILTER (WHERE s.key IS NULL), count(*) FILTER (WHERE w.value <> s.value), count(*) FILTER (WHERE w.key IS NULL),
           count(*) FILTER (WHERE w.value = s.value) INTO added, changed, removed, unchanged
    FROM wanted w FULL JOIN standing s USING (key);
    IF added + changed + removed = 0 THEN
        RETURN;
    END IF;

    IF added + changed + unchanged > 0 THEN
        INSERT INTO calendars (branch_id, timezone, made_by, counted_from, counted_until)
            VALUES (p_branch, v_branch.timezone, p_actor, p_from, p_from) RETURNING calendar_id INTO v_calendar;
        INSERT INTO calendar_hours (branch_id, calendar_id, weekday, valid_from, begins, ends)
            SELECT p_branch, v_calendar, r.weekday, r.from_day, r.begins, r.ends FROM calendar_rows(p_rows) r WHERE r.what = 'weekly';
        INSERT INTO calendar_days (branch_id, calendar_id, day, what, name, follows, begins, ends)
            SELECT p_branch, v_calendar, r.first + d, r.what, r.name, r.follows::smallint, r.begins, r.ends
            FROM calendar_rows(p_rows) r CROSS JOIN LATERAL generate_series(0, r.last - r.first) d WHERE r.what <> 'weekly';
        PERFORM count_calendar(p_branch, v_calendar, p_until);
    END IF;
    UPDATE branches SET calendar_id = v_calendar WHERE branch_id = p_branch;
    PERFORM write_audit(p_branch, p_actor, 'calendar-set', v_branch.code, jsonb_build_object('calendar', v_calendar, 'before',
        v_branch.calendar_id, 'added', added, 'changed', changed, 'removed', removed));
END $$;
COMMENT ON FUNCTION set_calendar(integer, jsonb, text, date, date) IS
    'Makes the rows the branch''s calendar from now on; what was counted by the one before keeps its times. Gives days and weekdays added, changed, removed.';

-- By another clock the same hours are other moments.
CREATE OR REPLACE FUNCTION recount_calendar() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_calendar integer;
BEGIN
    INSERT INTO calendars (branch_id, timezone, made_by, counted_from, counted_until)
        VALUES (NEW.branch_id, NEW.timezone, 'system', current_date - 400, current_date - 400) RETURNING calendar_id INTO v_calendar;
    INSERT INTO calendar_hours SELECT branch_id, v_calendar, weekday, valid_from, begins, ends FROM calendar_hours
        WHERE branch_id = NEW.branch_id AND calendar_id = NEW.calendar_id;
    INSERT INTO calendar_days SELECT branch_id, v_calendar, day, what, name, follows, begins, ends FROM calendar_days
        WHERE branch_id = NEW.branch_id AND calendar_id = NEW.calendar_id;
    NEW.calendar_id := v_calendar;
    PERFORM count_calendar(NEW.branch_id, v_calendar, current_date + 800);
    RETURN NEW;
END $$;
COMMENT ON FUNCTION recount_calendar() IS 'A branch that changes its time zone has its calendar made again for it.';
DROP TRIGGER IF EXISTS recount_calendar ON branches;
CREATE TRIGGER recount_calendar BEFORE UPDATE OF timezone ON branches FOR EACH ROW
    WHEN (OLD.timezone <> NEW.timezone AND NEW.calendar_id IS NOT NULL AND OLD.calendar_id = NEW.calendar_id)
    EXECUTE FUNCTION recount_calendar();
