-- Who is away, and who stands in for him. Read by everything that asks whom to tell, who may see, and whose call counts.

-- In plpgsql, as whatever is asked for each notification: an SQL function would be planned anew by every statement.
CREATE OR REPLACE FUNCTION absent(p_branch integer, p_person integer, p_at timestamptz DEFAULT now()) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM absences a WHERE a.branch_id = p_branch AND a.person_id = p_person AND a.cancelled_at IS NULL
                   AND a.ends_at > p_at AND a.starts_at <= p_at);
END $$;
COMMENT ON FUNCTION absent(integer, integer, timestamptz) IS 'Whether somebody is on leave at that moment.';

-- The deputy named for the leave, else the usual one, and when he is away or gone too, his; a circle, or nobody left, ends it
-- at the nearest one up the line who is there. When everybody is away it is the person himself: somebody must hear.
CREATE OR REPLACE FUNCTION stand_in(p_branch integer, p_person integer, p_at timestamptz DEFAULT now()) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_person integer := p_person;
    v_seen integer[] := '{}';
    v_retired boolean;
    v_next integer;
BEGIN
    IF NOT absent(p_branch, p_person, p_at) THEN
        RETURN p_person;
    END IF;
    WHILE v_person IS NOT NULL AND v_person <> ALL (v_seen) LOOP
        SELECT p.retired_at IS NOT NULL, coalesce(a.deputy_id, p.deputy_id) INTO v_retired, v_next
            FROM people p
            LEFT JOIN LATERAL (SELECT x.deputy_id FROM absences x
                WHERE x.branch_id = p_branch AND x.person_id = p.person_id AND x.cancelled_at IS NULL
                  AND x.ends_at > p_at AND x.starts_at <= p_at
                ORDER BY (x.deputy_id IS NULL), x.made_at DESC, x.absence_id DESC LIMIT 1) a ON true
            WHERE p.branch_id = p_branch AND p.person_id = v_person;
        IF NOT v_retired AND NOT absent(p_branch, v_person, p_at) THEN
            RETURN v_person;
        END IF;
        v_seen := v_seen || v_person;
        v_person := v_next;
    END LOOP;
    RETURN coalesce((SELECT l.person_id FROM line_of(p_branch, p_person) l
                     WHERE l.person_id <> ALL (v_seen) AND NOT absent(p_branch, l.person_id, p_at)
                     ORDER BY l.height LIMIT 1), p_person);
END $$;
COMMENT ON FUNCTION stand_in(integer, integer, timestamptz) IS
    'Who acts for somebody at a moment: himself, unless he is on leave; then his deputy, the deputy''s, or the nearest up the line.';
