-- Which policy a complaint is under, and what follow-up it makes: deadlines, ladder, owner, of reports too. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-POLICY', 'x')), ('lonely', add_branch('TAP-LONELY', 'x'));
INSERT INTO areas (branch_id, code) SELECT pg_temp.id('branch'), c FROM unnest('{north,south}'::text[]) c;
INSERT INTO people (branch_id, code, name, role, area_id, sees_reports)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, a.area_id, p.code = 'sup-named'
    FROM (VALUES ('am', 'account_manager', 'north'), ('gone', 'account_manager', 'north'), ('sup', 'supervisor', NULL),
                 ('sup-named', 'supervisor', NULL), ('insp-b', 'inspector', NULL), ('insp-south', 'inspector', 'south')) p (code, role, area)
    LEFT JOIN areas a ON a.branch_id = pg_temp.id('branch') AND a.code = p.area;
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
UPDATE people SET retired_at = now() WHERE person_id = pg_temp.id('gone');
INSERT INTO retailers (branch_id, code, name, manager_id, area_id, class)
    SELECT a.branch_id, r.code, 'x', pg_temp.id(r.manager), a.area_id, r.class
    FROM (VALUES ('key', 'am', 'north', 'key'), ('ordinary', 'am', 'south', 'ordinary'), ('orphan', 'gone', 'north', NULL)) r (code, manager, area, class)
    JOIN areas a ON a.branch_id = pg_temp.id('branch') AND a.code = r.area;
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-policy', '\x00'), (pg_temp.id('lonely'), 'tap-lonely', '\x00');

CREATE FUNCTION pg_temp.rule(p_name text, p_class text, p_kind text, p_category text, p_severity integer, p_deadline interval DEFAULT '4 hours')
RETURNS void LANGUAGE sql AS $$
    WITH p AS (INSERT INTO policies (branch_id, name, class, kind, category, severity, deadline)
               VALUES (pg_temp.id('branch'), p_name, p_class, p_kind, p_category, p_severity, p_deadline) RETURNING *)
    INSERT INTO ids SELECT p_name, policy_id FROM p $$;
CREATE FUNCTION pg_temp.under(p_class text, p_kind text, p_category text, p_severity integer) RETURNS text LANGUAGE sql AS $$
    SELECT name FROM policies WHERE branch_id = pg_temp.id('branch')
        AND policy_id = policy_for(pg_temp.id('branch'), p_class, p_kind, p_category, p_severity) $$;
SELECT pg_temp.rule('key', 'key', NULL, NULL, NULL), pg_temp.rule('key late', 'key', NULL, 'late', NULL), pg_temp.rule('bad', NULL, NULL, NULL, 2),
       pg_temp.rule('worst', NULL, NULL, NULL, 3), pg_temp.rule('key complaint late', 'key', 'complaint', 'late', NULL);
SELECT is(pg_temp.under(x.class, x.kind, x.category, x.severity), x.name, x.name || ': ' || x.why) FROM (VALUES
    ('ordinary', 'complaint', NULL, NULL, 'default', 'what meets no condition'),
    (NULL, 'request', 'late', 1, 'default', 'nor does what it lacks'),
    ('key', 'request', NULL, 1, 'key', 'one condition'), ('key', 'request', 'late', 1, 'key late', 'two are more'),
    ('key', 'complaint', 'late', 1, 'key complaint late', 'three are more'), ('key', 'complaint', 'late', 3, 'key complaint late', 'whatever the severity'),
    ('ordinary', 'complaint', NULL, 2, 'bad', 'a severity'), ('ordinary', 'complaint', NULL, 3, 'worst', 'and up: the higher one wins')) x (class, kind, category, severity, name, why);
UPDATE policies SET valid_until = now() WHERE branch_id = pg_temp.id('branch') AND name = 'key late';
SELECT is(pg_temp.under('key', 'request', 'late', 1), 'key', 'one that has ended holds no more');

SELECT is(policies_contend(p, q), x.contend, x.one || ' and ' || x.other)
FROM (VALUES ('key', 'bad', true), ('bad', 'worst', false), ('key', 'key late', false), ('key', 'default', false)) x (one, other, contend)
JOIN policies p ON p.name = x.one AND p.branch_id = pg_temp.id('branch') JOIN policies q ON q.name = x.other AND q.branch_id = p.branch_id;

-- A complaint, stored and with its follow-up; id by name.
CREATE FUNCTION pg_temp.raise(p_name text, p_retailer text, p_manager text, p_kind text, p_severity integer DEFAULT NULL,
                              p_raised timestamptz DEFAULT now(), p_branch text DEFAULT 'branch') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_retailer integer := (SELECT retailer_id FROM retailers WHERE branch_id = pg_temp.id(p_branch) AND code = p_retailer);
    v_reference bigint;
    v_made record;
BEGIN
    INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at, retailer_id)
        SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), p_kind, 'x', g.gateway_id, p_raised, v_retailer
        FROM branches b JOIN gateways g USING (branch_id) WHERE branch_id = pg_temp.id(p_branch) RETURNING reference INTO v_reference;
    SELECT * INTO v_made FROM open_follow_ups(ARRAY[pg_temp.id(p_branch)], ARRAY[v_reference], ARRAY[v_retailer], ARRAY[pg_temp.id(p_manager)],
        ARRAY[p_kind], ARRAY[NULL::text], ARRAY[p_severity], ARRAY[p_raised]);
    INSERT INTO ids VALUES (p_name, v_made.v_follow_up[1]);
END $$;
CREATE FUNCTION pg_temp.owner(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT p.code FROM follow_ups f LEFT JOIN people p ON p.branch_id = f.branch_id AND p.person_id = f.owner_id WHERE follow_up_id = pg_temp.id(p_name) $$;

SELECT pg_temp.raise('plain', 'ordinary', 'am', 'complaint', 2);
SELECT results_eq('SELECT owner_id, due_at, kind, severity::integer, area_id, work_due_at, calendar_id, policy_id FROM follow_ups WHERE follow_up_id = pg_temp.id(''plain'')',
    $$SELECT pg_temp.id('am'), now() + interval '4 hours', 'complaint', 2, area_id, NULL::timestamptz, NULL::integer, pg_temp.id('bad') FROM areas
      WHERE branch_id = pg_temp.id('branch') AND code = 'south'$$, 'a follow-up knows what it is about');
SELECT is((SELECT kind || ' ' || details FROM follow_up_history WHERE follow_up_id = pg_temp.id('plain')), 'opened {"policy": "bad", "version": 1}', 'and under what it was made');
SELECT is((SELECT type || ' ' || (addressee_id = pg_temp.id('am')) FROM notifications WHERE follow_up_id = pg_temp.id('plain')), 'assigned true', 'its owner hears of it');
SELECT pg_temp.raise('orphan', 'orphan', 'gone', 'complaint');
SELECT is(pg_temp.owner('orphan'), 'sup', 'a manager who left: the duty supervisor');
SELECT is((SELECT string_agg(step || ' ' || round(extract(epoch FROM due_at - now()) / 3600) || coalesce(' ' || skipped, ''), ', ' ORDER BY due_at)
           FROM follow_up_steps WHERE follow_up_id = pg_temp.id('orphan')), 'unacknowledged-1 1, reminder-50 12, reminder-75 18, overdue 24, escalation-1 25, escalation-2 26', 'the default ladder');
SELECT pg_temp.raise('late', 'orphan', 'am', 'complaint', NULL, now() - interval '24 hours 30 minutes');
SELECT is((SELECT string_agg(step || coalesce(' ' || skipped, '') || coalesce(' ' || (fired_at = now()), ''), ', ' ORDER BY due_at)
           FROM follow_up_steps WHERE follow_up_id = pg_temp.id('late')),
          'reminder-50 late true, reminder-75 late true, overdue, escalation-1, unacknowledged-1, escalation-2', 'of those past only the latest is left');

-- Reports: to whoever may see them, and to nobody else.
SELECT pg_temp.raise('report south', 'ordinary', 'am', 'report');
SELECT is(pg_temp.owner('report south'), 'insp-south', 'a report: the inspector of its area');
SELECT pg_temp.raise('report north', 'key', 'am', 'report');
SELECT is(pg_temp.owner('report north'), 'insp-b', 'else the first inspector');
UPDATE people SET retired_at = now() WHERE branch_id = pg_temp.id('branch') AND role = 'inspector';
SELECT pg_temp.raise('report named', 'key', 'am', 'report');
SELECT is(pg_temp.owner('report named'), 'sup-named', 'else a supervisor named for it');
UPDATE people SET sees_reports = false WHERE branch_id = pg_temp.id('branch');
SELECT pg_temp.raise('report nobody', 'key', 'am', 'report');
SELECT is(pg_temp.owner('report nobody'), 'sup', 'with none the duty supervisor, rather than nobody');
SELECT is((SELECT string_agg(code, ', ' ORDER BY code) FROM people p WHERE branch_id = pg_temp.id('branch') AND may_see_report(branch_id, person_id)), NULL, 'who may not see it all the same');
SELECT pg_temp.raise('alone', NULL, NULL, 'complaint', NULL, now(), 'lonely');
SELECT is(pg_temp.owner('alone'), NULL, 'a branch without anybody: no owner, but a follow-up');

-- Working time beside the wall clock, and steps by channels.
SELECT pg_temp.rule('shop hours', NULL, 'inquiry', NULL, NULL, '24 hours');
UPDATE policies SET work_deadline = '8 hours' WHERE branch_id = pg_temp.id('branch') AND name = 'shop hours';
INSERT INTO policy_steps (branch_id, policy_id, step, action, share, plus, whom, channels, clock) VALUES
    (pg_temp.id('branch'), pg_temp.id('shop hours'), 'half', 'reminded', 0.5, '0', 'owner', '{wecom,email}', 'wall'),
    (pg_temp.id('branch'), pg_temp.id('shop hours'), 'soon', 'reminded', 1, '-30 minutes', 'deputy', NULL, 'work');
SELECT pg_temp.raise('no calendar', 'ordinary', 'am', 'inquiry');
SELECT is((SELECT string_agg(step || ' ' || coalesce(channels::text, 'all'), ', ') FROM follow_up_steps WHERE follow_up_id = pg_temp.id('no calendar')
           AND action <> 'unacknowledged'), 'half {wecom,email}',
          'without a calendar there is no step in working time');
SELECT set_calendar(pg_temp.id('branch'), (SELECT jsonb_agg(jsonb_build_object('at', 'line ' || d, 'what', 'weekly', 'day', d::text, 'hours', '00:00-08:00'))
    FROM generate_series(1, 7) d), 'tap');
SELECT pg_temp.raise('calendar', 'ordinary', 'am', 'inquiry', NULL, date_trunc('day', now() AT TIME ZONE 'Asia/Shanghai') AT TIME ZONE 'Asia/Shanghai' - interval '20 hours');
SELECT results_eq($$SELECT f.work_due_at - f.raised_at, f.due_at - f.raised_at, s.due_at - f.raised_at, f.calendar_id FROM follow_ups f
                    JOIN follow_up_steps s USING (branch_id, follow_up_id) WHERE follow_up_id = pg_temp.id('calendar') AND step = 'soon'$$,
    $$SELECT interval '24 hours', interval '24 hours', interval '23 hours 30 minutes', calendar_id FROM branches WHERE branch_id = pg_temp.id('branch')$$,
    'with one: the rest of the day before, and half an hour less for the step');

SELECT * FROM finish();
ROLLBACK;
