-- Working time by calendars shaped like those of Chinese branches: lunch breaks, the National Day week with its make-up days, ends of
-- months and years, other clocks. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('china', add_branch('TAP-CN', 'x')), ('berlin', add_branch('TAP-DE', 'x', 'Europe/Berlin')),
    ('none', add_branch('TAP-NONE', 'x')), ('round', add_branch('TAP-ROUND', 'x'));
-- A moment by the branch's clock, and how a moment reads by it.
CREATE FUNCTION pg_temp.at(p_local text, p_branch text DEFAULT 'china') RETURNS timestamptz LANGUAGE sql AS $$
    SELECT p_local::timestamp AT TIME ZONE timezone FROM branches WHERE branch_id = pg_temp.id(p_branch) $$;
CREATE FUNCTION pg_temp.add(p_local text, p_time interval, p_branch text DEFAULT 'china') RETURNS text LANGUAGE sql AS $$
    SELECT to_char(working_time_add(branch_id, pg_temp.at(p_local, p_branch), p_time) AT TIME ZONE timezone, 'YYYY-MM-DD HH24:MI')
    FROM branches WHERE branch_id = pg_temp.id(p_branch) $$;
CREATE FUNCTION pg_temp.between(p_from text, p_to text, p_branch text DEFAULT 'china') RETURNS interval LANGUAGE sql AS $$
    SELECT working_time_between(pg_temp.id(p_branch), pg_temp.at(p_from, p_branch), pg_temp.at(p_to, p_branch)) $$;
CREATE FUNCTION pg_temp.week(p_hours text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_object('at', 'line ' || d + 1, 'what', 'weekly', 'day', d::text, 'hours', p_hours)) FROM generate_series(1, 5) d $$;

-- Lunch from 11:30 to 13:30. National Day 2025: the 1st to the 8th of October, paid for with Sunday 28 September and Saturday 11 October.
-- New Year's Eve closes at noon. From the first of May on Saturdays are worked in the morning; since 2026 no more.
SELECT pg_temp.week('8:30-11:30; 13:30-17:30') || '[
    {"at": "line 7", "what": "holiday", "day": "2025-10-01", "until": "2025-10-08", "name": "国庆节"},
    {"at": "line 8", "what": "workday", "day": "2025-09-28", "follows": "2", "name": "国庆节调休"},
    {"at": "line 9", "what": "workday", "day": "2025-10-11", "follows": "5", "name": "国庆节调休"},
    {"at": "line 10", "what": "special", "day": "2025-12-31", "hours": "08:30-12:00", "name": "元旦前"},
    {"at": "line 11", "what": "holiday", "day": "2026-01-01", "name": "元旦"},
    {"at": "line 12", "what": "weekly", "day": "6", "hours": "09:00-12:00", "since": "2025-11-01"},
    {"at": "line 13", "what": "weekly", "day": "6", "since": "2026-01-01"}]' AS china \gset
SELECT is_empty(format('SELECT * FROM calendar_faults(%L)', :'china'), 'a calendar without faults');
SELECT is(c::text, '(19,0,0,0)', 'is taken') FROM set_calendar(pg_temp.id('china'), :'china', 'tap', '2025-01-01', '2026-07-01') c;
SELECT is(c::text, '(0,0,0,19)', 'and the same again makes no other') FROM set_calendar(pg_temp.id('china'), :'china', 'tap') c;
SELECT is((SELECT count(*) FROM calendars WHERE branch_id = pg_temp.id('china')), 1::bigint, 'version');

-- A working day, and lunch.
SELECT is(pg_temp.add('2025-09-10 09:00', '2 hours'), '2025-09-10 11:00', 'a morning');
SELECT is(pg_temp.add('2025-09-10 10:30', '2 hours'), '2025-09-10 14:30', 'over lunch');
SELECT is(pg_temp.add('2025-09-10 12:00', '1 hour'), '2025-09-10 14:30', 'raised at lunch');
SELECT is(pg_temp.add('2025-09-10 10:30', '1 hour'), '2025-09-10 11:30', 'what ends with the morning ends then, not after lunch');
SELECT is(pg_temp.add('2025-09-10 17:00', '1 hour'), '2025-09-11 09:00', 'over night');
SELECT is(pg_temp.add('2025-09-12 17:00', '7 hours'), '2025-09-15 17:00', 'over a week-end');
SELECT is(pg_temp.add('2025-09-13 10:00', '7 hours'), '2025-09-15 17:30', 'raised on a Saturday that is free');
SELECT is(pg_temp.add('2025-09-10 09:00:00.5', '1 second'), '2025-09-10 09:00', 'seconds count');
SELECT is(pg_temp.add('2025-09-10 20:00', '0'), '2025-09-10 20:00', 'no time is no time');

-- The National Day.
SELECT is(pg_temp.add('2025-09-26 17:00', '1 hour'), '2025-09-28 09:00', 'the make-up Sunday is worked');
SELECT is(pg_temp.add('2025-09-30 17:00', '1 hour'), '2025-10-09 09:00', 'the holidays are not');
SELECT is(pg_temp.add('2025-10-03 23:59', '14 hours'), '2025-10-10 17:30', 'raised in the holidays: two days from the 9th on');
SELECT is(pg_temp.add('2025-10-03 23:59', '14 hours 1 minute'), '2025-10-11 08:31', 'and a minute of the make-up Saturday');
SELECT is(pg_temp.between('2025-09-28 00:00', '2025-10-12 00:00'), interval '42 hours', 'a fortnight of six working days');

-- Ends of month and year, special hours, hours that change from a day on.
SELECT is(pg_temp.add('2025-10-31 17:00', '1 hour'), '2025-11-01 09:30', 'from November on Saturdays are worked');
SELECT is(pg_temp.add('2025-12-31 11:30', '1 hour'), '2026-01-02 09:00', 'New Year''s Eve closes at noon');
SELECT is(pg_temp.add('2026-01-02 17:00', '1 hour'), '2026-01-05 09:00', 'and from then on Saturdays are free again');
SELECT is(pg_temp.add('2028-01-03 09:00', '1 hour'), NULL, 'beyond what is counted: unknown, not wrong');
SELECT is(pg_temp.add('2024-01-03 09:00', '1 hour'), NULL, 'and before');
SELECT is(pg_temp.add('2026-06-30 09:00', '9 hours'), NULL, 'also when only the end is beyond');
SELECT count_calendar(branch_id, calendar_id, '2026-08-01') FROM calendars WHERE branch_id = pg_temp.id('china');
SELECT is(pg_temp.add('2026-06-30 09:00', '9 hours'), '2026-07-01 11:00', 'until it is counted on');

SELECT is(is_working_time(pg_temp.id('china'), pg_temp.at(x.at)), x.works, x.at) FROM (VALUES ('2025-09-10 08:29:59', false),
    ('2025-09-10 08:30', true), ('2025-09-10 11:30', false), ('2025-09-10 13:30', true), ('2025-09-10 17:30', false),
    ('2025-09-28 10:00', true), ('2025-10-01 10:00', false)) x (at, works);
SELECT is(closing_time(pg_temp.id('china'), pg_temp.at('2025-09-10 10:00')), pg_temp.at('2025-09-10 11:30'), 'closing before lunch');
SELECT is(closing_time(pg_temp.id('china'), pg_temp.at('2025-09-10 12:00')), NULL, 'none at lunch');
SELECT is(next_working_moment(pg_temp.id('china'), pg_temp.at('2025-09-30 17:30')), pg_temp.at('2025-10-09 08:30'), 'the next moment somebody works');
SELECT is(next_working_moment(pg_temp.id('china'), pg_temp.at('2025-09-30 17:29')), pg_temp.at('2025-09-30 17:29'), 'which may be now');
SELECT is(pg_temp.between('2025-09-10 14:00', '2025-09-10 09:00'), interval '-3 hours', 'backwards');

-- No calendar, no answer.
SELECT is(pg_temp.add('2025-09-10 09:00', '1 hour', 'none'), NULL, 'without a calendar there is no working time');
SELECT is(is_working_time(pg_temp.id('none'), now()), NULL, 'nor is a moment inside or outside');
SELECT is(next_working_moment(pg_temp.id('none'), now()), NULL, 'nor does work begin');

-- Summer time: in Berlin 2026 it begins on 29 March at 2:00 and ends on 25 October at 3:00. Nights are worked there.
SELECT jsonb_agg(jsonb_build_object('at', 'line ' || d, 'what', 'weekly', 'day', d::text, 'hours', '00:00-06:00;22:00-24:00'))
    AS berlin FROM generate_series(1, 7) d \gset
SELECT lives_ok(format('SELECT set_calendar(pg_temp.id(''berlin''), %L, ''tap'', ''2026-01-01'', ''2027-01-01'')', :'berlin'), 'a branch that works at night');
SELECT is(pg_temp.between('2026-03-28 12:00', '2026-03-29 12:00', 'berlin'), interval '7 hours', 'a night with the hour that was skipped');
SELECT is(pg_temp.between('2026-10-24 12:00', '2026-10-25 12:00', 'berlin'), interval '9 hours', 'one with the hour that came twice');
SELECT is(pg_temp.add('2026-03-28 23:00', '3 hours', 'berlin'), '2026-03-29 03:00', 'and deadlines know it');
SELECT is(closing_time(pg_temp.id('berlin'), pg_temp.at('2026-05-01 23:00', 'berlin')), pg_temp.at('2026-05-02 06:00', 'berlin'), 'midnight closes nothing');
UPDATE branches SET timezone = 'Asia/Shanghai' WHERE branch_id = pg_temp.id('berlin');
SELECT ok(is_working_time(pg_temp.id('berlin'), date_trunc('day', now() AT TIME ZONE 'Asia/Shanghai') AT TIME ZONE 'Asia/Shanghai' + interval '1 hour'),
          'with another clock the same hours are other moments');
SELECT is((SELECT count(*) FROM calendars WHERE branch_id = pg_temp.id('berlin')), 2::bigint, 'in a calendar of their own');

-- Round the clock; a count that was taken up again is no closing time.
SELECT set_calendar(pg_temp.id('round'), (SELECT jsonb_agg(jsonb_build_object('at', 'line ' || d, 'what', 'weekly', 'day', d::text, 'hours', '00:00-24:00'))
    FROM generate_series(1, 7) d), 'tap', '2026-01-01', '2026-02-01');
SELECT count_calendar(branch_id, calendar_id, '2026-03-01') FROM calendars WHERE branch_id = pg_temp.id('round');
SELECT is(closing_time(pg_temp.id('round'), pg_temp.at('2026-01-31 23:59', 'round')), pg_temp.at('2026-03-01', 'round'), 'round the clock nothing closes');
SELECT is(pg_temp.between('2026-01-15', '2026-02-15', 'round'), interval '744 hours', 'and all time counts');
SELECT is(extend_calendars(), 2, 'what is in force is counted on, two years ahead');
SELECT is(extend_calendars(), 0, 'once');
SELECT ok((SELECT bool_and(counted_until = current_date + 800) FROM calendars c JOIN branches USING (branch_id, calendar_id) WHERE c.branch_id = pg_temp.id('round')), 'so far');

-- Another calendar: the one before stays as it was.
SELECT calendar_id AS before FROM branches WHERE branch_id = pg_temp.id('china') \gset
SELECT is(c::text, '(0,5,14,0)', 'other hours') FROM set_calendar(pg_temp.id('china'), pg_temp.week('09:00-17:00'), 'tap', '2025-01-01', '2026-07-01') c;
SELECT is(pg_temp.add('2025-09-30 17:00', '1 hour'), '2025-10-01 10:00', 'count by the new one');
SELECT is(working_time_add(pg_temp.id('china'), pg_temp.at('2025-09-30 17:00'), '1 hour', :before), pg_temp.at('2025-10-09 09:00'), 'and still by the old one');
SELECT throws_ok('UPDATE calendar_days SET what = ''holiday''', '42501', NULL, 'which nobody rewrites');
SELECT is((SELECT count(*) FROM audit_log WHERE branch_id = pg_temp.id('china') AND action = 'calendar-set'), 2::bigint, 'each is in the audit log');
SELECT is(c::text, '(0,0,5,0)', 'no rows') FROM set_calendar(pg_temp.id('china'), '[]', 'tap') c;
SELECT is(is_working_time(pg_temp.id('china'), now()), NULL, 'take it away');

-- What is wrong with rows.
SELECT is((SELECT string_agg(f.at || ' ' || f.field, ', ') FROM calendar_faults(pg_temp.week('9:00-17:00') || jsonb_build_array(x.row || '{"at": "X"}')) f),
          x.faults, x.row::text)
FROM (VALUES ('{"what": "weekly", "day": "8", "hours": "9:00-10:00"}'::jsonb, 'X day'), ('{"what": "weekly", "day": "7", "hours": "9-10"}', 'X hours'),
    ('{"what": "weekly", "day": "7", "hours": "10:00-9:00"}', 'X hours'), ('{"what": "weekly", "day": "7", "hours": "9:00-11:00;10:00-12:00"}', 'X hours'),
    ('{"what": "weekly", "day": "5", "hours": "9:00-10:00"}', 'X day'), ('{"what": "weekly", "day": "7", "until": "2026-01-01"}', 'X until'),
    ('{"what": "holiday", "day": "2026-02-30"}', 'X day'), ('{"what": "holiday", "day": "2026-02-03", "until": "2026-02-01"}', 'X until'),
    ('{"what": "holiday", "day": "2026-02-03", "hours": "9:00-10:00"}', 'X hours'), ('{"what": "special", "day": "2026-02-03"}', 'X hours'),
    ('{"what": "workday", "day": "2026-02-03"}', 'X follows'), ('{"what": "holiday", "day": "2026-02-03", "since": "2026-01-01"}', 'X since'),
    ('{"what": "weekly", "day": "7", "hours": "22:00-24:00", "since": "2026-13-01"}', 'X since'),
    ('{"what": "holiday", "day": "2026-02-03", "name": "x\ny"}', 'X name'), ('{"what": "weekly", "day": "7", "hours": "22:00-24:00"}', NULL)) x (row, faults);
SELECT is((SELECT string_agg(f.at || ' ' || f.field || ' ' || f.reason, ', ') FROM calendar_faults('[{"at": "line 2", "what": "holiday", "day": "2026-10-01", "until": "2026-10-08"},
    {"at": "line 3", "what": "workday", "day": "2026-10-08", "follows": "4"}, {"at": "line 4", "what": "weekly", "day": "1", "hours": "9:00-10:00"}]') f),
    'line 3 day the same day as in line 2', 'a day that is two things');
SELECT is((SELECT string_agg(f.at || ' ' || f.field, ', ') FROM calendar_faults('[{"at": "line 2", "what": "holiday", "day": "2026-10-01"}]') f), 'line 2 what', 'days without hours');

SELECT * FROM finish();
ROLLBACK;
