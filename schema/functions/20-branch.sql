-- A branch and what every branch starts with: its number space, its default policy, its cycles, its line of command.

CREATE OR REPLACE FUNCTION add_branch(p_code text, p_name text, p_timezone text DEFAULT 'Asia/Shanghai') RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_branch integer := nextval(pg_get_serial_sequence('ringback.branches', 'branch_id'));
    v_sequence text := format('reference_of_branch_%s', v_branch);
    v_policy integer;
BEGIN
    PERFORM now() AT TIME ZONE p_timezone;
    EXECUTE format('CREATE SEQUENCE %I MINVALUE 100000000 MAXVALUE 999999999', v_sequence);
    INSERT INTO branches (branch_id, code, name, timezone, reference_sequence)
        OVERRIDING SYSTEM VALUE VALUES (v_branch, p_code, p_name, p_timezone, v_sequence::regclass);
    INSERT INTO acknowledge_keys (branch_id, secret) VALUES (v_branch,
        sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
               || uuid_send(gen_random_uuid())));
    INSERT INTO policies (branch_id, name, deadline) VALUES (v_branch, 'default', interval '24 hours')
        RETURNING policy_id INTO v_policy;
    INSERT INTO policy_steps (branch_id, policy_id, step, action, share, plus, whom) VALUES
        (v_branch, v_policy, 'reminder-50', 'reminded', 0.5, '0', 'owner'),
        (v_branch, v_policy, 'reminder-75', 'reminded', 0.75, '0', 'owner'),
        (v_branch, v_policy, 'overdue', 'overdue', 1, '0', 'owner'),
        (v_branch, v_policy, 'escalation-1', 'escalated', 1, '1 hour', 'market_manager'),
        (v_branch, v_policy, 'escalation-2', 'escalated', 1, '2 hours', 'duty_supervisor');
    PERFORM add_vocabulary(v_branch);
    PERFORM furnish_desk(v_branch);
    RETURN v_branch;
END $$;
COMMENT ON FUNCTION add_branch(text, text, text) IS 'Makes a branch with its number space and the default policy; gives its id.';

CREATE OR REPLACE FUNCTION cycle_at(p_branch integer, p_at timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_start date;
    v_cycle integer;
BEGIN
    SELECT d.starts_on, c.cycle_id INTO v_start, v_cycle
    FROM branches b
    CROSS JOIN LATERAL (SELECT (p_at AT TIME ZONE b.timezone)::date AS today) t
    CROSS JOIN LATERAL (SELECT t.today - (extract(isodow FROM t.today)::integer - b.cycle_first_day + 7) % 7 AS starts_on) d
    LEFT JOIN order_cycles c ON c.branch_id = b.branch_id AND c.starts_on = d.starts_on
    WHERE b.branch_id = p_branch;
    IF v_cycle IS NULL THEN
        INSERT INTO order_cycles (branch_id, starts_on, ends_on) VALUES (p_branch, v_start, v_start + 6)
            ON CONFLICT (branch_id, starts_on) DO NOTHING;
        SELECT cycle_id INTO STRICT v_cycle FROM order_cycles WHERE branch_id = p_branch AND starts_on = v_start;
    END IF;
    RETURN v_cycle;
END $$;
COMMENT ON FUNCTION cycle_at(integer, timestamptz) IS 'The order cycle of a moment by the branch''s clock, made when it is the first.';

CREATE OR REPLACE FUNCTION duty_supervisor(p_branch integer) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT p.person_id FROM branches b
            JOIN people p ON p.branch_id = b.branch_id AND p.person_id = b.duty_supervisor_id
            WHERE b.branch_id = p_branch AND p.retired_at IS NULL),
        (SELECT person_id FROM people
            WHERE branch_id = p_branch AND role = 'supervisor' AND retired_at IS NULL ORDER BY code LIMIT 1))
$$;
COMMENT ON FUNCTION duty_supervisor(integer) IS 'The configured one when active, else the first active supervisor by code, else null.';

CREATE OR REPLACE FUNCTION line_of(p_branch integer, p_person integer)
RETURNS TABLE (person_id integer, height integer)
LANGUAGE sql STABLE ROWS 4 AS $$
    -- Up the line of command; a circle in it ends the walk. Behind it whoever supervises the branch.
    WITH RECURSIVE up AS (
        SELECT p.person_id, p.reports_to_id, p.retired_at, 0 AS height, ARRAY[p.person_id] AS seen
            FROM people p WHERE p.branch_id = p_branch AND p.person_id = p_person
        UNION ALL
        SELECT p.person_id, p.reports_to_id, p.retired_at, up.height + 1, up.seen || p.person_id
            FROM up JOIN people p ON p.branch_id = p_branch AND p.person_id = up.reports_to_id
            WHERE p.person_id <> ALL (up.seen)
    ), everybody AS (
        SELECT person_id, height FROM up WHERE retired_at IS NULL
        UNION ALL
        SELECT duty_supervisor(p_branch), 1000
        UNION ALL
        SELECT s.person_id, 1000 + row_number() OVER (ORDER BY s.code)::integer FROM people s
            WHERE s.branch_id = p_branch AND s.role = 'supervisor' AND s.retired_at IS NULL
    )
    SELECT person_id, min(height) FROM everybody WHERE person_id IS NOT NULL GROUP BY person_id ORDER BY 2
$$;
COMMENT ON FUNCTION line_of(integer, integer) IS 'Active people who can take over from somebody, nearest first, himself included.';

CREATE OR REPLACE FUNCTION market_manager_of(p_branch integer, p_owner integer, p_retailer integer) RETURNS integer
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT p.person_id FROM line_of(p_branch, p_owner) l
            JOIN people p ON p.branch_id = p_branch AND p.person_id = l.person_id
            WHERE p.role = 'market_manager' AND p.person_id <> p_owner ORDER BY l.height LIMIT 1),
        (SELECT p.person_id FROM retailers r
            JOIN people p ON p.branch_id = r.branch_id AND p.area_id = r.area_id
            WHERE r.branch_id = p_branch AND r.retailer_id = p_retailer AND p.role = 'market_manager'
              AND p.retired_at IS NULL ORDER BY p.code LIMIT 1),
        duty_supervisor(p_branch))
$$;
COMMENT ON FUNCTION market_manager_of(integer, integer, integer) IS
    'The owner''s own up the line, else the one of the retailer''s area, else the duty supervisor.';

CREATE OR REPLACE FUNCTION may_see_report(p_branch integer, p_person integer) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM people WHERE branch_id = p_branch AND person_id = p_person AND retired_at IS NULL
                     AND (role = 'inspector' OR sees_reports))
$$;
COMMENT ON FUNCTION may_see_report(integer, integer) IS
    'Whether somebody may see reports of offences (举报): inspectors, and those named for it. Others are told that there is one, not what.';

CREATE OR REPLACE FUNCTION report_line(p_branch integer, p_area integer DEFAULT NULL) RETURNS TABLE (person_id integer, height integer)
LANGUAGE sql STABLE ROWS 4 AS $$
    SELECT p.person_id, row_number() OVER (
               ORDER BY p.role <> 'inspector', p.area_id IS DISTINCT FROM p_area, p.role <> 'supervisor', p.code)::integer - 1
    FROM people p
    WHERE p.branch_id = p_branch AND p.retired_at IS NULL AND (p.role = 'inspector' OR p.sees_reports)
$$;
COMMENT ON FUNCTION report_line(integer, integer) IS
    'Who deals with a report of an offence, nearest first: inspectors of its area, other inspectors, named supervisors, others named. '
    'Steps of a report keep whom they are for; whoever fires one tells nobody outside this line unless it is empty: '
    'then the duty supervisor, without the text.';
