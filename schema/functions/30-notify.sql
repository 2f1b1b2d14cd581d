-- Notifications are made here, in the transaction of what causes them. Delivery is 60-outbox.sql's.

DROP FUNCTION IF EXISTS first_live_target(integer, integer);
DROP FUNCTION IF EXISTS make_notifications(integer[], bigint[], text[], text[], integer[], uuid[]);

-- p_channels: only these, unless he has none of them. p_report: of a report of an offence nobody is told who may not see it,
-- unless there is nobody who may.
CREATE OR REPLACE FUNCTION first_live_target(p_branch integer, p_person integer, p_report boolean DEFAULT false,
                                             p_channels text[] DEFAULT NULL)
RETURNS TABLE (target_id integer, recipient_id integer)
LANGUAGE plpgsql STABLE ROWS 1 AS $$
DECLARE
    v_person integer := p_person;
BEGIN
    -- Nearly always the addressee is there and has one himself: then his line of command is not walked.
    FOR turn IN 1..2 LOOP
        RETURN QUERY SELECT t.target_id, t.person_id FROM targets t JOIN people p USING (branch_id, person_id)
            WHERE t.branch_id = p_branch AND t.person_id = v_person AND t.retired_at IS NULL AND p.retired_at IS NULL
              AND NOT (turn = 1 AND absent(p_branch, v_person)) AND (NOT p_report OR may_see_report(p_branch, v_person))
            ORDER BY (t.channel = ANY (p_channels)) IS FALSE, t.position, t.target_id LIMIT 1;
        IF FOUND THEN
            RETURN;
        END IF;
        v_person := stand_in(p_branch, p_person);
    END LOOP;
    IF p_report THEN
        RETURN QUERY SELECT t.target_id, t.person_id FROM report_line(p_branch) l
            JOIN targets t ON t.branch_id = p_branch AND t.person_id = l.person_id
            WHERE t.retired_at IS NULL
            ORDER BY absent(p_branch, l.person_id), l.height, (t.channel = ANY (p_channels)) IS FALSE, t.position, t.target_id LIMIT 1;
        IF FOUND OR EXISTS (SELECT FROM report_line(p_branch)) THEN
            RETURN;
        END IF;
        v_person := duty_supervisor(p_branch);
    ELSE
        v_person := p_person;
    END IF;
    RETURN QUERY SELECT t.target_id, t.person_id FROM line_of(p_branch, v_person) l
        JOIN targets t ON t.branch_id = p_branch AND t.person_id = l.person_id
        WHERE t.retired_at IS NULL
        ORDER BY absent(p_branch, l.person_id), l.height, (t.channel = ANY (p_channels)) IS FALSE, t.position, t.target_id LIMIT 1;
END $$;
COMMENT ON FUNCTION first_live_target(integer, integer, boolean, text[]) IS
    'Where a notification for somebody goes: his first live target, or that of who stands in for him, else of the next one up the line '
    'who is there; no row: nobody has one.';

-- In plpgsql, as notification_body asks for it: an SQL function would be planned anew for each.
CREATE OR REPLACE FUNCTION uri_segment(p_text text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF p_text ~ '^[A-Za-z0-9._~-]*$' THEN
        RETURN p_text;
    END IF;
    RETURN (SELECT string_agg(CASE WHEN c ~ '[A-Za-z0-9._~-]' THEN c
                                   ELSE regexp_replace(upper(encode(convert_to(c, 'UTF8'), 'hex')), '(..)', '%\1', 'g') END, '')
            FROM regexp_split_to_table(p_text, '') AS c);
END $$;
COMMENT ON FUNCTION uri_segment(text) IS 'A code as one segment of a URI, percent-encoded (RFC 3986): sources are URI references.';

-- Of a report of an offence whoever may not see it is told that there is one, not what or whose. A request comes before the
-- complaint's text, and its answer before that. "tries", an extension attribute of ours, is there when somebody tried to reach
-- the retailer and did not.
CREATE OR REPLACE FUNCTION notification_body(p_id uuid, p_branch integer, p_follow_up bigint, p_type text, p_step text,
                                             p_recipient integer) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT left(json_build_object(
        'specversion', '1.0', 'id', p_id, 'source', '/ringback/' || uri_segment(b.code),
        'type', 'ringback.follow-up.' || p_type, 'subject', f.follow_up_id::text, 'time', now(),
        'datacontenttype', 'application/json',
        'data', json_build_object(
            'follow_up', f.follow_up_id, 'complaint', c.reference::text, 'kind', c.kind,
            'retailer', CASE WHEN r.retailer_id IS NOT NULL AND NOT w.withheld THEN json_build_object('code', r.code, 'name', r.name,
                'phones', (SELECT coalesce(json_agg(h.phone ORDER BY h.position), '[]') FROM retailer_phones h
                           WHERE h.branch_id = r.branch_id AND h.retailer_id = r.retailer_id)) END,
            'caller', CASE WHEN NOT w.withheld THEN coalesce(c.caller_phone, c.caller) END,
            'text', CASE WHEN w.withheld THEN '举报内容仅限授权人员查看 (a report of an offence, shown only to those who may see it)'
                         ELSE coalesce(CASE WHEN p_step = 'incident-answer' THEN (SELECT i.answer || E'\n— ' FROM incidents i
                                      WHERE i.branch_id = f.branch_id AND i.incident_id = f.incident_id) END, '') ||
                              coalesce(q.answer || E'\n— ', '') || coalesce(q.text || E'\n— ', '') || c.text END,
            'raised_at', f.raised_at, 'due_at', f.due_at, 'owner', o.code, 'recipient', p.code, 'step', p_step,
            'acknowledge_url', acknowledge_link(p_branch, p_follow_up, p_recipient)))::text, -1)
        || CASE WHEN f.first_try_at IS NOT NULL AND f.state IN ('open', 'acknowledged') THEN coalesce((
               SELECT ', "tries" : ' || count(*) FROM follow_up_tries t
               WHERE t.branch_id = f.branch_id AND t.follow_up_id = f.follow_up_id AND t.outcome <> 'recorded' HAVING count(*) > 0), '')
           ELSE '' END || '}'
    FROM follow_ups f
    JOIN branches b USING (branch_id)
    JOIN complaints c ON c.branch_id = f.branch_id AND c.reference = f.complaint
    CROSS JOIN LATERAL (SELECT CASE WHEN c.kind = 'report' THEN NOT may_see_report(f.branch_id, p_recipient) ELSE false END AS withheld) w
    LEFT JOIN follow_up_requests q ON q.branch_id = f.branch_id AND q.follow_up_id = f.follow_up_id
        AND q.number = CASE WHEN p_step LIKE 'request-%' THEN substring(p_step FROM '^request-([0-9]{1,9})(?:-late|-answered)?$')::integer END
    LEFT JOIN retailers r ON r.branch_id = f.branch_id AND r.retailer_id = f.retailer_id
    LEFT JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
    LEFT JOIN people p ON p.branch_id = f.branch_id AND p.person_id = p_recipient
    WHERE f.branch_id = p_branch AND f.follow_up_id = p_follow_up
$$;
COMMENT ON FUNCTION notification_body(uuid, integer, bigint, text, text, integer) IS
    'The CloudEvent that a target receives, written once and sent as the same bytes on every attempt.';

-- Set-based: item i of every array is one notification. p_channels: array literals, or null for all; p_target: a live target that
-- is to be taken, or null. Gives how many were made.
CREATE OR REPLACE FUNCTION make_notifications(p_branch integer[], p_follow_up bigint[], p_type text[], p_step text[],
                                              p_addressee integer[], p_passed_on_from uuid[] DEFAULT NULL,
                                              p_channels text[] DEFAULT NULL, p_target integer[] DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_made integer;
BEGIN
    INSERT INTO notifications (notification_id, branch_id, follow_up_id, type, step, addressee_id, recipient_id,
                               target_id, state, passed_on_from, body)
    SELECT n.id, n.branch, n.follow_up, n.type, n.step, n.addressee, coalesce(n.recipient, n.addressee), n.target,
           CASE WHEN n.target IS NULL THEN 'stranded' ELSE 'waiting' END, n.passed_on_from,
           notification_body(n.id, n.branch, n.follow_up, n.type, n.step, coalesce(n.recipient, n.addressee))
    FROM (SELECT gen_random_uuid() AS id, x.branch, x.follow_up, x.type, x.step, x.addressee, x.passed_on_from,
                 coalesce(g.target_id, t.target_id) AS target, coalesce(g.person_id, t.recipient_id) AS recipient
          FROM unnest(p_branch, p_follow_up, p_type, p_step, p_addressee, p_passed_on_from, p_channels, p_target)
              AS x (branch, follow_up, type, step, addressee, passed_on_from, channels, target)
          JOIN follow_ups f ON f.branch_id = x.branch AND f.follow_up_id = x.follow_up
          LEFT JOIN targets g ON g.branch_id = x.branch AND g.target_id = x.target
          LEFT JOIN LATERAL first_live_target(x.branch, x.addressee, f.kind = 'report', x.channels::text[]) t ON g.target_id IS NULL
          OFFSET 0) n;
    GET DIAGNOSTICS v_made = ROW_COUNT;
    RETURN v_made;
END $$;
COMMENT ON FUNCTION make_notifications(integer[], bigint[], text[], text[], integer[], uuid[], text[], integer[]) IS
    'Makes notifications for addressees, each to the first live target up the line; without any it is stranded, not lost.';
