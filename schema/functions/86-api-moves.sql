-- The console's moves of a follow-up. Each finds it with the rights of who asks (another one's is 404), checks the body, lets the
-- owner's function do it (68, 69), and answers with the follow-up as it is then.

CREATE OR REPLACE FUNCTION seen_follow_up(p jsonb) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_id bigint := asked_id(p, 'follow-up');
BEGIN
    IF NOT EXISTS (SELECT FROM follow_ups WHERE branch_id = asker_branch() AND follow_up_id = v_id) THEN
        PERFORM found_nothing('follow-up');
    END IF;
    RETURN v_id;
END $$;
COMMENT ON FUNCTION seen_follow_up(jsonb) IS 'The follow-up in the path, if who asks may see it; else 404.';

CREATE OR REPLACE FUNCTION moved(p_id bigint) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_document jsonb := follow_up_document(p_id);
BEGIN
    IF v_document IS NULL THEN
        RETURN (204, NULL, NULL, NULL, NULL, NULL, NULL)::answer; -- he gave it away, and sees it no more
    END IF;
    RETURN answer_json(v_document, 200, v_document ->> 'revision');
END $$;
COMMENT ON FUNCTION moved(bigint) IS 'The answer of a move: the follow-up after it.';

-- Members of bodies, beside those of 81-asked.sql: what is wanted and absent is refused.

CREATE OR REPLACE FUNCTION said_members(p jsonb, p_allowed text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_typeof(p -> 'body') IS NULL OR jsonb_typeof(p -> 'body') = 'null' THEN
        p := p || '{"body": {}}';
    END IF;
    PERFORM check_members(p, p_allowed);
    RETURN p;
END $$;
COMMENT ON FUNCTION said_members(jsonb, text[]) IS 'A request whose body may be absent; refuses members that mean nothing.';

CREATE OR REPLACE FUNCTION said_text(p jsonb, p_name text, p_most integer, p_wanted boolean DEFAULT true) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := body_text(p, p_name, p_most);
BEGIN
    IF v_text IS NULL AND p_wanted THEN
        PERFORM fault('/' || p_name, format('this is needed: a text of 1 to %s characters', p_most));
    END IF;
    RETURN v_text;
END $$;
COMMENT ON FUNCTION said_text(jsonb, text, integer, boolean) IS 'A body''s text.';

CREATE OR REPLACE FUNCTION said_flag(p jsonb, p_name text, p_wanted boolean DEFAULT true) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF jsonb_typeof(p -> 'body' -> p_name) = 'boolean' THEN
        RETURN (p -> 'body' -> p_name)::boolean;
    ELSIF p_wanted OR p -> 'body' ? p_name THEN
        PERFORM fault('/' || p_name, 'true or false');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION said_flag(jsonb, text, boolean) IS 'A body''s true or false.';

CREATE OR REPLACE FUNCTION said_whole(p jsonb, p_name text, p_least bigint, p_most bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_number numeric;
BEGIN
    IF jsonb_typeof(p -> 'body' -> p_name) = 'number' THEN
        v_number := (p -> 'body' ->> p_name)::numeric;
    END IF;
    IF v_number IS NULL OR v_number <> trunc(v_number) OR v_number NOT BETWEEN p_least AND p_most THEN
        PERFORM fault('/' || p_name, format('a whole number from %s to %s', p_least, p_most));
    END IF;
    RETURN v_number;
END $$;
COMMENT ON FUNCTION said_whole(jsonb, text, bigint, bigint) IS 'A body''s whole number.';

CREATE OR REPLACE FUNCTION said_time_ahead(p jsonb, p_name text, p_most interval) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := said_text(p, p_name, 40);
    v_at timestamptz;
BEGIN
    IF v_text !~* '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$' THEN
        PERFORM fault('/' || p_name, 'a time with its offset, like 2026-03-01T15:00:00+08:00');
    END IF;
    BEGIN
        v_at := v_text::timestamptz;
    EXCEPTION WHEN data_exception THEN
        PERFORM fault('/' || p_name, 'there is no such time');
    END;
    IF v_at <= now() OR v_at > now() + p_most THEN
        PERFORM fault('/' || p_name, format('a time to come, within %s days', extract(day FROM p_most)));
    END IF;
    RETURN v_at;
END $$;
COMMENT ON FUNCTION said_time_ahead(jsonb, text, interval) IS 'A body''s time, which is ahead but not further than this.';

CREATE OR REPLACE FUNCTION said_one(p jsonb, p_name text, p_allowed text[]) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_text text := said_text(p, p_name, 100);
BEGIN
    IF v_text <> ALL (p_allowed) THEN
        PERFORM fault('/' || p_name, 'one of: ' || array_to_string(p_allowed, ', '));
    END IF;
    RETURN v_text;
END $$;
COMMENT ON FUNCTION said_one(jsonb, text, text[]) IS 'A body''s word, one of some.';
GRANT EXECUTE ON FUNCTION seen_follow_up, moved, said_members, said_text, said_flag, said_whole, said_time_ahead, said_one TO ringback_console;

-- The moves.

CREATE OR REPLACE FUNCTION api_acknowledge_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{}');
    PERFORM acknowledge_follow_up(v_id, p);
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_acknowledge_follow_up(jsonb) IS 'I know of it.';

CREATE OR REPLACE FUNCTION api_resolve_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{resolution,valid,thanks,root_cause,corrective_action}');
    PERFORM check_cause(asker_branch(), said_text(p, 'root_cause', 100, false));
    PERFORM resolve_follow_up(v_id, p || jsonb_build_object('body', jsonb_strip_nulls(jsonb_build_object(
        'resolution', said_text(p, 'resolution', 4000), 'valid', said_flag(p, 'valid'), 'thanks', said_flag(p, 'thanks'),
        'root_cause', said_text(p, 'root_cause', 100, false), 'corrective_action', said_text(p, 'corrective_action', 4000, false)))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_resolve_follow_up(jsonb) IS 'What was done about it, whether it was founded, whether the retailer was thanked.';

CREATE OR REPLACE FUNCTION api_verify_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{note}');
    PERFORM verify_follow_up(v_id, p || jsonb_build_object('body', jsonb_build_object('note', said_text(p, 'note', 4000, false))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_verify_follow_up(jsonb) IS 'Somebody else agrees that it is resolved.';

CREATE OR REPLACE FUNCTION api_close_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{reason}');
    PERFORM close_follow_up(v_id, p || jsonb_build_object('body', jsonb_build_object('reason', said_text(p, 'reason', 4000))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_close_follow_up(jsonb) IS 'Closed without a return visit, and why.';

CREATE OR REPLACE FUNCTION api_reopen_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{reason}');
    PERFORM reopen_follow_up(v_id, p || jsonb_build_object('body', jsonb_build_object('reason', said_text(p, 'reason', 4000))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_reopen_follow_up(jsonb) IS 'It is not settled after all.';

CREATE OR REPLACE FUNCTION api_hand_over_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{to,reason}');
    PERFORM hand_over_follow_up(v_id, p || jsonb_build_object('body', jsonb_strip_nulls(jsonb_build_object(
        'to', said_text(p, 'to', 100), 'reason', said_text(p, 'reason', 4000)))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_hand_over_follow_up(jsonb) IS 'Another owner.';

CREATE OR REPLACE FUNCTION api_promise_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{at,note}');
    PERFORM promise_follow_up(v_id, p || jsonb_build_object('body', jsonb_strip_nulls(jsonb_build_object(
        'at', said_time_ahead(p, 'at', '90 days'), 'note', said_text(p, 'note', 4000, false)))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_promise_follow_up(jsonb) IS 'A time promised to the retailer.';

CREATE OR REPLACE FUNCTION api_note_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{text}');
    PERFORM note_follow_up(v_id, p || jsonb_build_object('body', jsonb_strip_nulls(jsonb_build_object(
        'text', said_text(p, 'text', 4000)))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_note_follow_up(jsonb) IS 'How it goes.';

CREATE OR REPLACE FUNCTION api_ask_department(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{department,person,text,due_at}');
    IF num_nonnulls(said_text(p, 'department', 40, false), said_text(p, 'person', 100, false)) <> 1 THEN
        PERFORM fault('/department', 'say whom you ask: a department or a person, one of the two');
    END IF;
    PERFORM ask_department(v_id, p || jsonb_build_object('body', jsonb_strip_nulls(jsonb_build_object(
        'department', said_text(p, 'department', 40, false), 'person', said_text(p, 'person', 100, false),
        'text', said_text(p, 'text', 4000), 'due_at', said_time_ahead(p, 'due_at', '90 days')))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_ask_department(jsonb) IS 'Asks others for something; the owner stays.';

CREATE OR REPLACE FUNCTION api_answer_request(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{answer}');
    IF p #>> '{path,number}' !~ '^[1-9][0-9]{0,8}$' THEN
        PERFORM found_nothing('request');
    END IF;
    RETURN answer_json(answer_request(v_id, (p #>> '{path,number}')::integer,
                                      p || jsonb_build_object('body', jsonb_build_object('answer', said_text(p, 'answer', 4000)))));
END $$;
COMMENT ON FUNCTION api_answer_request(jsonb) IS 'The answer to a request.';

CREATE OR REPLACE FUNCTION api_merge_follow_up(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
    v_into bigint;
BEGIN
    p := said_members(p, '{into}');
    v_into := said_whole(p, 'into', 1, 9007199254740991);
    IF NOT EXISTS (SELECT FROM follow_ups WHERE branch_id = asker_branch() AND follow_up_id = v_into) THEN
        PERFORM fault('/into', 'there is no such follow-up, or it is not yours to see');
    END IF;
    PERFORM merge_follow_up(v_id, v_into, p);
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_merge_follow_up(jsonb) IS 'A repeat: another one stands for it.';

CREATE OR REPLACE FUNCTION api_visit_retailer(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    p := said_members(p, '{satisfied,reliability,assurance,tangibles,empathy,responsiveness,good,bad,how,call}');
    PERFORM visit_retailer(v_id, p || jsonb_build_object('body', jsonb_strip_nulls(jsonb_build_object(
        'satisfied', said_flag(p, 'satisfied'), 'how', said_one(p, 'how', '{phone,visit}'),
        'reliability', said_whole(p, 'reliability', 1, 5), 'assurance', said_whole(p, 'assurance', 1, 5),
        'tangibles', said_whole(p, 'tangibles', 1, 5), 'empathy', said_whole(p, 'empathy', 1, 5),
        'responsiveness', said_whole(p, 'responsiveness', 1, 5), 'good', said_text(p, 'good', 4000, false),
        'bad', said_text(p, 'bad', 4000, false), 'call', said_text(p, 'call', 200, false)))));
    RETURN moved(v_id);
END $$;
COMMENT ON FUNCTION api_visit_retailer(jsonb) IS 'A return visit by somebody other than who resolved it.';

-- Same shop, same category or order, raised within 30 days of this one; the nearest in time first.
CREATE OR REPLACE FUNCTION api_list_repeats(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_id bigint := seen_follow_up(p);
BEGIN
    RETURN answer_json(json_build_object('items', (
        SELECT coalesce(json_agg(json_build_object('id', q.follow_up_id, 'complaint', q.complaint::text, 'state', q.state, 'kind', q.kind,
                   'category', q.category, 'order', q.order_reference::text, 'owner', code_of(q.branch_id, q.owner_id),
                   'raised_at', q.raised_at, 'due_at', q.due_at, 'text', left(q.text, 200), 'same', q.same, 'merge', q.merge)
                   ORDER BY q.vague, q.distance, q.follow_up_id), '[]')
        FROM (SELECT g.*, d.order_reference, d.text, abs(extract(epoch FROM g.raised_at - f.raised_at)) AS distance,
                     array_remove(ARRAY[CASE WHEN d.category = c.category THEN 'category' END,
                                        CASE WHEN d.order_reference = c.order_reference THEN 'order' END,
                                        CASE WHEN v.vague THEN 'kind' END], NULL) AS same, v.vague,
                     CASE WHEN f.state IN ('open', 'acknowledged', 'contacted') AND g.state IN ('open', 'acknowledged', 'contacted')
                          THEN CASE WHEN (g.due_at, g.follow_up_id) < (f.due_at, f.follow_up_id) THEN 'into' ELSE 'from' END END AS merge
              FROM follow_ups f
              JOIN complaints c ON c.branch_id = f.branch_id AND c.reference = f.complaint
              -- each half has an index of its own
              CROSS JOIN LATERAL (SELECT * FROM follow_ups a WHERE a.branch_id = f.branch_id AND a.retailer_id = f.retailer_id AND a.state <> 'closed'
                                  UNION ALL
                                  SELECT * FROM follow_ups a WHERE a.branch_id = f.branch_id AND a.retailer_id = f.retailer_id AND a.state = 'closed') g
              JOIN complaints d ON d.branch_id = g.branch_id AND d.reference = g.complaint
              -- Operators often name no category: then what is of one kind within a week may be the same, behind what surely looks like it.
              CROSS JOIN LATERAL (SELECT (d.category = c.category OR d.order_reference = c.order_reference) IS NOT TRUE AS vague) v
              WHERE f.branch_id = asker_branch() AND f.follow_up_id = v_id AND g.follow_up_id <> v_id AND g.merged_into IS NULL
                AND (g.kind = 'report') = (f.kind = 'report')
                AND g.raised_at BETWEEN f.raised_at - interval '30 days' AND f.raised_at + interval '30 days'
                AND (NOT v.vague OR (d.kind = c.kind AND (d.category IS NULL OR c.category IS NULL)
                                     AND g.raised_at BETWEEN f.raised_at - interval '7 days' AND f.raised_at + interval '7 days'))
              ORDER BY v.vague, distance, g.follow_up_id LIMIT 50) q), 'next', NULL));
END $$;
COMMENT ON FUNCTION api_list_repeats(jsonb) IS 'Follow-ups that may be about the same thing, and which of the two would stand for both.';
GRANT EXECUTE ON FUNCTION api_acknowledge_follow_up, api_resolve_follow_up, api_verify_follow_up, api_close_follow_up, api_reopen_follow_up,
    api_hand_over_follow_up, api_promise_follow_up, api_note_follow_up, api_ask_department, api_answer_request, api_merge_follow_up,
    api_visit_retailer, api_list_repeats TO ringback_console;
