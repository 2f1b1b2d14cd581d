-- Why a follow-up is due when it is, and each of its steps: GET /api/v1/follow-ups/{id}/why, in words (Chinese and English) and in
-- segments of time that add up. A deadline in working time is explained by the calendar that it was counted with, which stays.

CREATE OR REPLACE FUNCTION said(p_zh text, p_en text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('zh', p_zh, 'en', p_en)
$$;
COMMENT ON FUNCTION said(text, text) IS 'One thing in both languages.';

CREATE OR REPLACE FUNCTION time_said(p_time interval, p_language text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN t.s = 0 THEN CASE p_language WHEN 'zh' THEN '0分钟' ELSE '0 min' END ELSE CASE WHEN t.s < 0 THEN '-' ELSE '' END || concat_ws(' ',
        CASE WHEN abs(t.s) >= 3600 THEN trunc(abs(t.s) / 3600) || CASE p_language WHEN 'zh' THEN '小时' ELSE ' h' END END,
        CASE WHEN trunc(abs(t.s) / 60) % 60 > 0 THEN trunc(abs(t.s) / 60) % 60 || CASE p_language WHEN 'zh' THEN '分钟' ELSE ' min' END END,
        CASE WHEN abs(t.s) % 60 > 0 THEN trim_scale(round(abs(t.s) % 60, 3)) || CASE p_language WHEN 'zh' THEN '秒' ELSE ' s' END END) END
    FROM (SELECT extract(epoch FROM p_time) AS s) t
$$;
COMMENT ON FUNCTION time_said(interval, text) IS 'A length of time in words: 24小时, 1 h 30 min.';

CREATE OR REPLACE FUNCTION moment_said(p_at timestamptz, p_timezone text, p_language text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT to_char(p_at AT TIME ZONE p_timezone, CASE p_language WHEN 'zh' THEN 'YYYY"年"FMMM"月"FMDD"日" HH24:MI' ELSE 'YYYY-MM-DD HH24:MI' END)
$$;
COMMENT ON FUNCTION moment_said(timestamptz, text, text) IS 'A moment by the branch''s clock, in words.';

CREATE OR REPLACE FUNCTION reason_said(p_code text, p_name text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('code', p_code, 'name', p_name, 'zh', w.zh || coalesce('：' || p_name, ''), 'en', w.en || coalesce(': ' || p_name, ''))
    FROM (VALUES ('wall-clock', '自然时间', 'wall clock'), ('working-hours', '工作时间', 'working hours'), ('make-up-workday', '调休上班', 'make-up workday'),
                 ('special-hours', '特殊工作时间', 'special hours'), ('lunch', '午休', 'lunch break'), ('break', '休息', 'break'),
                 ('outside-hours', '非工作时间', 'outside working hours'), ('day-off', '休息日', 'day off'), ('holiday', '节假日', 'holiday')) AS w (code, zh, en)
    WHERE w.code = p_code
$$;
COMMENT ON FUNCTION reason_said(text, text) IS 'Why a stretch of time counts or does not, with the name of the day if it has one.';

-- Cut at every beginning and end of work and at midnight; neighbours of the same reason are one again.
CREATE OR REPLACE FUNCTION work_segments(p_branch integer, p_calendar integer, p_from timestamptz, p_to timestamptz)
RETURNS TABLE (from_at timestamptz, to_at timestamptz, counted boolean, code text, name text) LANGUAGE sql STABLE ROWS 20 AS $$
    WITH zone AS (
        SELECT timezone FROM calendars WHERE branch_id = p_branch AND calendar_id = p_calendar
    ), plan AS MATERIALIZED (
        SELECT d.* FROM zone z CROSS JOIN LATERAL calendar_plan(p_branch, p_calendar, (p_from AT TIME ZONE z.timezone)::date,
                                                                (p_to AT TIME ZONE z.timezone)::date + 1) d
    ), span AS MATERIALIZED (
        SELECT s.starts_at, s.ends_at FROM work_spans s
        WHERE s.branch_id = p_branch AND s.calendar_id = p_calendar AND s.starts_at < p_to
          AND s.starts_at > p_from - interval '1500 days' AND s.ends_at > p_from
    ), cut AS (
        SELECT t.at, lead(t.at) OVER (ORDER BY t.at) AS next FROM (
            SELECT p_from AS at UNION SELECT p_to
            UNION SELECT starts_at FROM span UNION SELECT ends_at FROM span
            UNION SELECT d.day::timestamp AT TIME ZONE z.timezone FROM plan d CROSS JOIN zone z) t
        WHERE t.at BETWEEN p_from AND p_to
    ), piece AS (
        SELECT c.at, c.next, s.starts_at IS NOT NULL AS counted,
               CASE WHEN s.starts_at IS NOT NULL THEN CASE d.what WHEN 'workday' THEN 'make-up-workday' WHEN 'special' THEN 'special-hours' ELSE 'working-hours' END
                    WHEN d.what = 'holiday' THEN 'holiday' WHEN d.what = 'free' THEN 'day-off'
                    WHEN l.at > d.begins[1] AND l.at < d.ends[cardinality(d.ends)]
                    THEN CASE WHEN (c.next AT TIME ZONE z.timezone)::time > '11:00' AND (c.at AT TIME ZONE z.timezone)::time < '14:00' THEN 'lunch' ELSE 'break' END
                    ELSE 'outside-hours' END AS code,
               CASE WHEN s.starts_at IS NOT NULL OR d.what = 'holiday' THEN d.name END AS name
        FROM cut c CROSS JOIN zone z
        CROSS JOIN LATERAL (SELECT ((c.at + (c.next - c.at) / 2) AT TIME ZONE z.timezone)::date AS day, ((c.at + (c.next - c.at) / 2) AT TIME ZONE z.timezone)::time AS at) l
        LEFT JOIN plan d ON d.day = l.day
        LEFT JOIN span s ON s.starts_at <= c.at AND s.ends_at >= c.next
        WHERE c.next IS NOT NULL
    ), run AS (
        SELECT p.*, count(*) FILTER (WHERE p.changes) OVER (ORDER BY p.at) AS run
        FROM (SELECT q.*, (q.counted, q.code, q.name) IS DISTINCT FROM lag((q.counted, q.code, q.name)) OVER (ORDER BY q.at) AS changes FROM piece q) p
    )
    SELECT min(r.at), max(r.next), r.counted, r.code, r.name FROM run r GROUP BY r.run, r.counted, r.code, r.name ORDER BY 1
$$;
COMMENT ON FUNCTION work_segments(integer, integer, timestamptz, timestamptz) IS
    'The time between two moments in stretches, each with why it counts as working time or does not.';

CREATE OR REPLACE FUNCTION why_due(p_branch integer, p_follow_up bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('due_at', f.due_at, 'text', said(
            format('%s提出，按自然时间（含夜间和节假日）%s内，应于%s前回电。', moment_said(f.raised_at, b.timezone, 'zh'), time_said(f.due_at - f.raised_at, 'zh'),
                   moment_said(f.due_at, b.timezone, 'zh')),
            format('Raised %s; %s by the wall clock, nights and holidays counted: due %s.', moment_said(f.raised_at, b.timezone, 'en'),
                   time_said(f.due_at - f.raised_at, 'en'), moment_said(f.due_at, b.timezone, 'en'))),
        'segments', jsonb_build_array(jsonb_build_object('from', f.raised_at, 'to', f.due_at, 'counted', true, 'reason', reason_said('wall-clock', NULL),
            'seconds', extract(epoch FROM f.due_at - f.raised_at))))
    FROM follow_ups f JOIN branches b USING (branch_id) WHERE f.branch_id = p_branch AND f.follow_up_id = p_follow_up
$$;
COMMENT ON FUNCTION why_due(integer, bigint) IS 'The deadline by the wall clock, explained.';

CREATE OR REPLACE FUNCTION why_work_due(p_branch integer, p_follow_up bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('due_at', f.work_due_at, 'calendar', f.calendar_id, 'text', said(
            format('%s提出，按工作时间%s内，应于%s前回电；午休、夜间、休息日和节假日不计。', moment_said(f.raised_at, c.timezone, 'zh'), time_said(p.work_deadline, 'zh'),
                   moment_said(f.work_due_at, c.timezone, 'zh')),
            format('Raised %s; %s of working time, without breaks, nights, days off and holidays: due %s.', moment_said(f.raised_at, c.timezone, 'en'),
                   time_said(p.work_deadline, 'en'), moment_said(f.work_due_at, c.timezone, 'en'))),
        'segments', (SELECT jsonb_agg(jsonb_build_object('from', s.from_at, 'to', s.to_at, 'counted', s.counted, 'reason', reason_said(s.code, s.name),
                            'seconds', extract(epoch FROM s.to_at - s.from_at)) ORDER BY s.from_at)
                     FROM work_segments(f.branch_id, f.calendar_id, f.raised_at, f.work_due_at) s))
    FROM follow_ups f
    JOIN policies p ON p.branch_id = f.branch_id AND p.policy_id = f.policy_id
    JOIN calendars c ON c.branch_id = f.branch_id AND c.calendar_id = f.calendar_id
    WHERE f.branch_id = p_branch AND f.follow_up_id = p_follow_up AND f.work_due_at IS NOT NULL
$$;
COMMENT ON FUNCTION why_work_due(integer, bigint) IS 'The deadline in working time, explained stretch by stretch; null: there is none.';

CREATE OR REPLACE FUNCTION why_policy(p_branch integer, p_follow_up bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('id', p.policy_id, 'name', p.name, 'version', p.version, 'in_force', p.valid_until IS NULL,
        'conditions', coalesce(c.list, '[]'), 'text', said(
            format('适用策略“%s”第%s版', p.name, p.version) || coalesce('：' || c.zh || '；符合的条件最多者优先。', '，即没有条件的默认策略：没有其他策略适用。')
                || CASE WHEN p.valid_until IS NULL THEN '' ELSE '该版本已被更改，但此跟进仍按原版本执行。' END,
            format('Policy "%s", version %s', p.name, p.version) || coalesce(': ' || c.en || '; the policy with the most conditions that fit wins.',
                ', which has no conditions: no other one fits.')
                || CASE WHEN p.valid_until IS NULL THEN '' ELSE ' It has been changed or ended since; this follow-up keeps the version it was made under.' END))
    FROM follow_ups f
    JOIN policies p ON p.branch_id = f.branch_id AND p.policy_id = f.policy_id
    LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id
    CROSS JOIN LATERAL (
        SELECT jsonb_agg(jsonb_build_object('condition', v.name, 'wants', v.wants, 'has', v.has)) AS list,
               string_agg(v.zh || ' ' || v.wants || CASE v.name WHEN 'severity' THEN ' 及以上' ELSE '' END, '，') AS zh,
               string_agg(v.name || ' ' || v.wants || CASE v.name WHEN 'severity' THEN ' and up' ELSE '' END, ', ') AS en
        FROM (VALUES ('class', '客户类别', p.class, r.class), ('kind', '类型', p.kind, f.kind), ('category', '类目', p.category, f.category),
                     ('severity', '严重程度', p.severity::text, f.severity::text)) AS v (name, zh, wants, has)
        WHERE v.wants IS NOT NULL) c
    WHERE f.branch_id = p_branch AND f.follow_up_id = p_follow_up
$$;
COMMENT ON FUNCTION why_policy(integer, bigint) IS 'The policy that a follow-up is under, and which conditions made it so.';

-- Who a step is for as things are now, with whoever stands in for him; whoever fires it looks again.
CREATE OR REPLACE FUNCTION whom_now(p_branch integer, p_follow_up bigint, p_whom text, p_person integer) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object('code', p.code, 'name', p.name)
    FROM follow_ups f
    CROSS JOIN LATERAL (SELECT CASE
        WHEN p_whom = 'requested' THEN p_person
        WHEN p_whom IN ('owner', 'next_channel') THEN coalesce(f.owner_id, duty_supervisor(p_branch))
        WHEN f.kind = 'report' AND EXISTS (SELECT FROM report_line(p_branch)) THEN coalesce(
            (SELECT l.person_id FROM report_line(p_branch, f.area_id) l JOIN people i ON i.branch_id = p_branch AND i.person_id = l.person_id
             WHERE l.person_id IS DISTINCT FROM f.owner_id ORDER BY p_whom = 'duty_supervisor' AND i.role <> 'supervisor', l.height LIMIT 1), f.owner_id)
        WHEN p_whom = 'deputy' THEN coalesce(
            (SELECT d.person_id FROM people o JOIN people d ON d.branch_id = o.branch_id AND d.person_id = o.deputy_id
             WHERE o.branch_id = f.branch_id AND o.person_id = f.owner_id AND d.retired_at IS NULL), market_manager_of(f.branch_id, f.owner_id, f.retailer_id))
        WHEN p_whom = 'market_manager' THEN market_manager_of(f.branch_id, f.owner_id, f.retailer_id)
        ELSE duty_supervisor(p_branch) END AS person_id) w
    JOIN people p ON p.branch_id = f.branch_id AND p.person_id = stand_in(f.branch_id, w.person_id)
    WHERE f.branch_id = p_branch AND f.follow_up_id = p_follow_up
$$;
COMMENT ON FUNCTION whom_now(integer, bigint, text, integer) IS 'Who a step of a follow-up would reach at this moment, or null.';

CREATE OR REPLACE FUNCTION why_steps(p_branch integer, p_follow_up bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('step', s.step, 'action', s.action, 'due_at', s.due_at,
        'how', CASE
            WHEN l.step IS NOT NULL THEN said(
                format('%s后%s', moment_said(f.raised_at, b.timezone, 'zh'), CASE WHEN l.clock = 'work' THEN '的工作时间里' ELSE '' END)
                    || CASE WHEN l.share = 0 THEN time_said(l.plus, 'zh') ELSE format('%s的%s%%', time_said(w.whole, 'zh'), trim_scale(l.share * 100))
                                || CASE WHEN l.plus > '0' THEN '再加' || time_said(l.plus, 'zh') WHEN l.plus < '0' THEN '再提前' || time_said(-l.plus, 'zh') ELSE '' END END,
                CASE WHEN l.share = 0 THEN time_said(l.plus, 'en') ELSE format('%s %% of %s', trim_scale(l.share * 100), time_said(w.whole, 'en'))
                        || CASE WHEN l.plus > '0' THEN ' and ' || time_said(l.plus, 'en') WHEN l.plus < '0' THEN ' less ' || time_said(-l.plus, 'en') ELSE '' END END
                    || CASE WHEN l.clock = 'work' THEN ' of working time' ELSE '' END || ' after ' || moment_said(f.raised_at, b.timezone, 'en'))
            WHEN s.action = 'promised' THEN said('答应客户的时间', 'the time promised to the retailer')
            WHEN s.action = 'request' THEN said('请求其他部门协助的时限', 'the time given to another department')
            WHEN s.action = 'unacknowledged' THEN said('未按时确认收到：' || coalesce(time_said(p.acknowledge_within, 'zh'), ''),
                                                        'not acknowledged within ' || coalesce(time_said(p.acknowledge_within, 'en'), 'the time'))
            ELSE said('原策略的步骤', 'a step of the policy before') END,
        'whom', s.whom, 'person', whom_now(s.branch_id, s.follow_up_id, s.whom, s.person_id), 'channels', to_jsonb(s.channels),
        'state', CASE WHEN s.fired_at IS NULL THEN 'waiting' WHEN s.skipped IS NULL THEN 'fired' ELSE 'skipped' END, 'fired_at', s.fired_at,
        'skipped', s.skipped, 'state_text', CASE
            -- the same as fire_steps() would find now; what is reopened needs it again
            WHEN s.fired_at IS NULL AND f.state = 'closed' THEN said('已结束，届时不再通知', 'closed: nobody will be told')
            WHEN s.fired_at IS NULL AND f.state NOT IN ('open', 'acknowledged') AND s.action NOT IN ('promised', 'request')
                THEN said('已回电，届时不再通知', 'the retailer has been reached: nobody will be told')
            WHEN s.fired_at IS NULL AND f.state = 'acknowledged' AND s.action = 'unacknowledged'
                THEN said('已确认收到，届时不再通知', 'acknowledged: nobody will be told')
            WHEN s.fired_at IS NULL THEN said('等待', 'waiting')
            WHEN s.skipped IS NULL THEN said('已于' || moment_said(s.fired_at, b.timezone, 'zh') || '通知', 'told at ' || moment_said(s.fired_at, b.timezone, 'en'))
            ELSE CASE s.skipped
                WHEN 'late' THEN said('登记时已过，未通知', 'already past when it arrived: nobody told')
                WHEN 'closed' THEN said('已结束，无需通知', 'closed before: nobody told')
                WHEN 'contacted' THEN said('已回电，无需通知', 'the retailer had been reached: nobody told')
                WHEN 'replaced' THEN said('已更改策略或负责人，不再适用', 'another policy or owner since: no longer a step')
                WHEN 'acknowledged' THEN said('已确认收到，无需通知', 'acknowledged before: nobody told')
                WHEN 'tried' THEN said('已尝试回电，无需通知', 'a call-back had been tried: nobody told')
                WHEN 'nobody' THEN said('没有其他人可通知', 'there was nobody else to tell')
                WHEN 'failed' THEN said('无法执行，见日志', 'could not be fired: the log says why')
                ELSE said('已跳过（' || s.skipped || '）', 'passed over (' || s.skipped || ')') END END)
        ORDER BY s.due_at, s.step), '[]')
    FROM follow_up_steps s
    JOIN follow_ups f ON f.branch_id = s.branch_id AND f.follow_up_id = s.follow_up_id
    JOIN branches b ON b.branch_id = f.branch_id
    JOIN policies p ON p.branch_id = f.branch_id AND p.policy_id = f.policy_id
    LEFT JOIN policy_steps l ON l.branch_id = f.branch_id AND l.policy_id = f.policy_id AND l.step = s.step
    CROSS JOIN LATERAL (SELECT CASE l.clock WHEN 'work' THEN p.work_deadline ELSE p.deadline END AS whole) w
    WHERE s.branch_id = p_branch AND s.follow_up_id = p_follow_up
$$;
COMMENT ON FUNCTION why_steps(integer, bigint) IS 'The ladder of a follow-up, each step with how its time came about, for whom it is and what became of it.';

-- Three tries in time are no silence, and still no call-back.
CREATE OR REPLACE FUNCTION why_tries(p_branch integer, p_follow_up bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN t.n > 0 THEN jsonb_build_object('count', t.n, 'first_at', t.first_at, 'last_at', t.last_at, 'text', said(
        format('已尝试回电%s次%s', t.n, CASE WHEN t.n = 1 THEN '：' || moment_said(t.last_at, b.timezone, 'zh')
            ELSE '，最近一次：' || moment_said(t.last_at, b.timezone, 'zh') END),
        CASE WHEN t.n = 1 THEN 'tried once, ' ELSE format('tried %s times, last ', t.n) END || moment_said(t.last_at, b.timezone, 'en'))) END
    FROM branches b
    CROSS JOIN LATERAL (SELECT count(*) AS n, min(t.at) AS first_at, max(t.at) AS last_at FROM follow_up_tries t
        WHERE t.branch_id = p_branch AND t.follow_up_id = p_follow_up AND t.outcome <> 'recorded') t
    WHERE b.branch_id = p_branch
$$;
COMMENT ON FUNCTION why_tries(integer, bigint) IS 'How often and when somebody tried to reach the retailer and did not; null: nobody did.';

CREATE OR REPLACE FUNCTION why_document(p_follow_up bigint) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
    SELECT jsonb_build_object('follow_up', p_follow_up, 'deadline', why_due(asker_branch(), p_follow_up), 'work_deadline',
        why_work_due(asker_branch(), p_follow_up), 'policy', why_policy(asker_branch(), p_follow_up), 'steps', why_steps(asker_branch(), p_follow_up),
        'tries', why_tries(asker_branch(), p_follow_up))
$$;
REVOKE EXECUTE ON FUNCTION why_document FROM PUBLIC;
GRANT EXECUTE ON FUNCTION why_document TO ringback_console;
COMMENT ON FUNCTION why_document(bigint) IS 'Why a follow-up of the asker''s branch is due when it is; whether he may see it is the caller''s to find out.';

CREATE OR REPLACE FUNCTION api_explain_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_follow_up bigint := asked_id(p, 'follow-up');
BEGIN
    IF NOT EXISTS (SELECT FROM follow_ups WHERE branch_id = asker_branch() AND follow_up_id = v_follow_up) THEN
        PERFORM found_nothing('follow-up');
    END IF;
    RETURN answer_json(why_document(v_follow_up));
END $$;
GRANT EXECUTE ON FUNCTION api_explain_follow_up TO ringback_console;
COMMENT ON FUNCTION api_explain_follow_up(jsonb) IS 'Explains a deadline and each step in words and segments.';
