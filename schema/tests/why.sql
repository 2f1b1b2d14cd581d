-- A deadline in working time is explained by the calendar it was counted with: over the National Day and its make-up days, and still
-- when the branch has another calendar. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-WHY', 'x'));
INSERT INTO people (branch_id, code, name, role) VALUES (pg_temp.id('branch'), 'sup', '主管', 'supervisor');
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-why', '\x00');
CREATE FUNCTION pg_temp.week(p_hours text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(jsonb_build_object('at', 'line ' || d + 1, 'what', 'weekly', 'day', d::text, 'hours', p_hours)) FROM generate_series(1, 5) d $$;
SELECT set_calendar(pg_temp.id('branch'), pg_temp.week('08:30-11:30;13:30-17:30') || '[
    {"at": "line 7", "what": "holiday", "day": "2025-10-01", "until": "2025-10-08", "name": "国庆节"},
    {"at": "line 8", "what": "workday", "day": "2025-10-11", "follows": "5", "name": "国庆节调休"}]', 'tap', '2025-01-01', '2026-07-01');
INSERT INTO policies (branch_id, name, kind, deadline, work_deadline) VALUES (pg_temp.id('branch'), '投诉', 'complaint', '24 hours', '16 hours');
INSERT INTO policy_steps (branch_id, policy_id, step, action, share, plus, whom, clock)
    SELECT branch_id, policy_id, 'hour-before', 'reminded', 1, '-1 hour', 'owner', 'work' FROM policies WHERE name = '投诉';
-- Raised on 30 September at 17:00: half an hour that day, seven each on the 9th and 10th, and an hour and a half of the make-up Saturday.
WITH c AS (
    INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at)
    SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), 'complaint', 'x', g.gateway_id, '2025-09-30 17:00+08'
    FROM branches b JOIN gateways g USING (branch_id) WHERE branch_id = pg_temp.id('branch') RETURNING *)
INSERT INTO ids SELECT 'f', (open_follow_ups(ARRAY[branch_id], ARRAY[reference], ARRAY[NULL::integer], ARRAY[NULL::integer], ARRAY[kind], ARRAY[NULL::text],
    ARRAY[NULL::integer], ARRAY[raised_at])).v_follow_up[1] FROM c;

CREATE FUNCTION pg_temp.segments() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(to_char((s ->> 'from')::timestamptz AT TIME ZONE 'Asia/Shanghai', 'DD HH24:MI') || CASE WHEN (s ->> 'counted')::boolean THEN ' + ' ELSE ' - ' END
        || (s #>> '{reason,en}'), E'\n' ORDER BY n)
    FROM jsonb_array_elements(why_work_due(pg_temp.id('branch'), pg_temp.id('f')) -> 'segments') WITH ORDINALITY AS x (s, n) $$;
SELECT is(pg_temp.segments(), '30 17:00 + working hours
30 17:30 - outside working hours
01 00:00 - holiday: 国庆节
09 00:00 - outside working hours
09 08:30 + working hours
09 11:30 - lunch break
09 13:30 + working hours
09 17:30 - outside working hours
10 08:30 + working hours
10 11:30 - lunch break
10 13:30 + working hours
10 17:30 - outside working hours
11 08:30 + make-up workday: 国庆节调休', 'each stretch with why it counts or does not');
SELECT is((SELECT sum((s ->> 'seconds')::numeric) FROM jsonb_array_elements(why_work_due(pg_temp.id('branch'), pg_temp.id('f')) -> 'segments') s
           WHERE (s ->> 'counted')::boolean), 16 * 3600::numeric, 'what counts adds up');
SELECT is(why_work_due(pg_temp.id('branch'), pg_temp.id('f')) #>> '{text,zh}',
          '2025年9月30日 17:00提出，按工作时间16小时内，应于2025年10月11日 10:00前回电；午休、夜间、休息日和节假日不计。', 'said in Chinese');
SELECT is(s ->> 'due_at' || ' ' || (s #>> '{how,en}'), to_json('2025-10-11 09:00+08'::timestamptz) #>> '{}' || ' 100 % of 16 h less 1 h of working time after 2025-09-30 17:00',
          'a step in working time') FROM jsonb_array_elements(why_steps(pg_temp.id('branch'), pg_temp.id('f'))) s WHERE s ->> 'step' = 'hour-before';
SELECT is(why_policy(pg_temp.id('branch'), pg_temp.id('f')) #>> '{text,en}', 'Policy "投诉", version 1: kind complaint; the policy with the most conditions that fit wins.', 'and the policy');

SELECT set_calendar(pg_temp.id('branch'), pg_temp.week('00:00-24:00'), 'tap', '2025-01-01', '2026-07-01');
SELECT matches(pg_temp.segments(), '国庆节调休$', 'another calendar explains what it counted, not what the one before did');
SELECT is((SELECT count(*) FROM work_segments(pg_temp.id('branch'), (SELECT calendar_id FROM branches WHERE branch_id = pg_temp.id('branch')),
    '2025-09-29 00:00+08', '2025-10-03 00:00+08')), 1::bigint, 'days that are worked round the clock are one stretch');

SELECT * FROM finish();
ROLLBACK;
