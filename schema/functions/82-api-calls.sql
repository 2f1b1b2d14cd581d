-- The console's telephone calls, newest first, and why somebody called: a call that led to no order and no complaint is given a
-- reason code, so that every contact is on record.

-- Where rows come from: alternatives that share none, over calls c.
CREATE OR REPLACE FUNCTION calls_sources(p jsonb) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_all text := format('FROM calls c WHERE c.branch_id = %s', asker_branch());
    v_phone text := asked_phone(p);
    v_phones text[];
BEGIN
    IF v_phone IS NOT NULL THEN
        RETURN ARRAY[v_all || format(' AND c.from_phone = %L', v_phone)]
            || ARRAY(SELECT v_all || format(' AND c.to_phone = %1$L AND c.direction = %2$L AND c.from_phone IS DISTINCT FROM %1$L', v_phone, way)
                     FROM unnest('{inbound,outbound}'::text[]) way);
    ELSIF p -> 'query' ? 'person' THEN
        SELECT coalesce(array_agg(phone), '{}') INTO v_phones FROM person_phones
            WHERE branch_id = asker_branch() AND person_id = person_asked(p, 'person')::integer;
        RETURN ARRAY[v_all || format(' AND c.direction = ''outbound'' AND c.from_phone = ANY (%L)', v_phones),
                     v_all || format(' AND c.direction = ''inbound'' AND c.to_phone = ANY (%L)', v_phones)];
    END IF;
    RETURN ARRAY[v_all];
END $$;
COMMENT ON FUNCTION calls_sources(jsonb) IS 'From where the calls of a list come.';

CREATE OR REPLACE FUNCTION pick_calls(p jsonb, OUT ids text[], OUT next jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_after jsonb := asked_cursor(p, 2);
    v_retailer text := retailer_asked(p);
    v_few boolean := asker_role() IN ('account_manager', 'market_manager') AND v_retailer IS NULL AND NOT p -> 'query' ?| '{phone,person}';
    v_order constant text := ' ORDER BY c.first_seen_at DESC, c.call DESC';
    v_where text := clause(' AND c.first_seen_at >= %L', asked_time(p, 'from')::text) || clause(' AND c.first_seen_at < %L', asked_time(p, 'to')::text)
        || clause(' AND c.retailer_id = %s', v_retailer)
        || CASE WHEN v_after IS NULL THEN '' ELSE format(' AND (c.first_seen_at, c.call) < (%L, %L)', cursor_time(v_after, 0), v_after ->> 1) END;
    v_ok text := CASE WHEN asker_everything() OR v_few THEN 'true'
            ELSE format('c.retailer_id IN (SELECT r.retailer_id FROM retailers r WHERE r.branch_id = %s%s)', v_branch, retailers_scope()) END
        || clause(' AND c.direction = %L', asked_one(p, 'direction', '{inbound,outbound}'))
        || clause(' AND c.state = %s', array_position('{ringing,answered,ended}', asked_one(p, 'state', '{ringing,answered,ended}'))::text)
        || CASE WHEN asked_one(p, 'without', '{reason}') IS NULL THEN '' ELSE
               ' AND (SELECT true FROM orders o WHERE o.branch_id = c.branch_id AND o.call = c.call LIMIT 1) IS NULL
                 AND (SELECT true FROM complaints m WHERE m.branch_id = c.branch_id AND m.call = c.call'
               -- What somebody may not know of does not count: he would learn of it by what is missing here.
               || CASE WHEN asker_reports() THEN '' ELSE ' AND m.kind <> ''report''' END || ' LIMIT 1) IS NULL
                 AND (SELECT true FROM call_reason_entries e WHERE e.branch_id = c.branch_id AND e.call = c.call LIMIT 1) IS NULL' END;
    v_reach integer := reach_of(v_ok, asked_limit(p));
    v_rows text;
BEGIN
    IF v_few THEN
        v_rows := format('SELECT c.* FROM retailers r CROSS JOIN LATERAL (SELECT c.* FROM calls c WHERE c.branch_id = r.branch_id
            AND c.retailer_id = r.retailer_id%s%s LIMIT %s) c WHERE r.branch_id = %s%s', v_where, v_order, v_reach, v_branch, retailers_scope());
    ELSE
        SELECT string_agg(format('(SELECT c.* %s%s%s LIMIT %s)', source, v_where, v_order, v_reach), ' UNION ALL ') INTO v_rows FROM unnest(calls_sources(p)) source;
    END IF;
    SELECT w.ids, w.next INTO ids, next
        FROM walk(format('SELECT c.call AS id, jsonb_build_array(c.first_seen_at, c.call) AS key, %s AS ok FROM (%s) c%s', v_ok, v_rows, v_order),
                  asked_limit(p), v_reach) w;
END $$;
COMMENT ON FUNCTION pick_calls(jsonb) IS 'The calls of a page of the list.';

CREATE OR REPLACE FUNCTION call_reason_of(p_call text) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object('code', r.code, 'zh', r.name_zh, 'en', r.name_en, 'note', e.note, 'at', e.at, 'by', p.code,
                                     'account', e.by_account)
        FROM call_reason_entries e
        JOIN call_reasons r ON r.branch_id = e.branch_id AND r.reason_id = e.reason_id
        LEFT JOIN people p ON p.branch_id = e.branch_id AND p.person_id = e.by_person_id
        WHERE e.branch_id = asker_branch() AND e.call = p_call ORDER BY e.entry_id DESC LIMIT 1);
END $$;
COMMENT ON FUNCTION call_reason_of(text) IS 'The reason entered last for a call; null: none.';

CREATE OR REPLACE FUNCTION call_document(p_call text) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object('id', c.call, 'direction', c.direction, 'state', (ARRAY['ringing', 'answered', 'ended'])[c.state],
            'from', c.from_number, 'to', c.to_number, 'at', c.first_seen_at, 'ringing_at', c.ringing_at, 'answered_at', c.answered_at,
            'ended_at', c.ended_at, 'seconds', c.seconds, 'cause', c.cause, 'recording', c.recording,
            'retailer', CASE WHEN r.retailer_id IS NOT NULL THEN json_build_object('code', r.code, 'name', r.name) END,
            'orders', (SELECT coalesce(json_agg(o.reference::text ORDER BY o.reference), '[]') FROM orders o
                       WHERE o.branch_id = c.branch_id AND o.call = c.call),
            'complaints', (SELECT coalesce(json_agg(m.reference::text ORDER BY m.reference), '[]') FROM complaints m
                           WHERE m.branch_id = c.branch_id AND m.call = c.call),
            'reason', call_reason_of(c.call))
        FROM calls c
        LEFT JOIN retailers r ON r.branch_id = c.branch_id AND r.retailer_id = c.retailer_id
        WHERE c.branch_id = asker_branch() AND c.call = p_call);
END $$;
COMMENT ON FUNCTION call_document(text) IS 'A call with what it led to; null: there is none, or it is not his to see.';

CREATE OR REPLACE FUNCTION api_list_calls(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_ids text[];
    v_next jsonb;
BEGIN
    SELECT ids, next INTO v_ids, v_next FROM pick_calls(p);
    RETURN page_of((SELECT array_agg(x.item ORDER BY x.n) FILTER (WHERE x.item IS NOT NULL)
        FROM (SELECT call_document(u.id) AS item, u.n FROM unnest(v_ids) WITH ORDINALITY AS u (id, n)) x), v_next);
END $$;
COMMENT ON FUNCTION api_list_calls(jsonb) IS 'Calls, newest first.';

CREATE OR REPLACE FUNCTION api_get_call(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_document json := call_document(p #>> '{path,id}');
BEGIN
    IF v_document IS NULL THEN
        PERFORM found_nothing('call');
    END IF;
    RETURN answer_json(v_document);
END $$;
COMMENT ON FUNCTION api_get_call(jsonb) IS 'One call with what it led to.';

CREATE OR REPLACE FUNCTION enter_call_reason(p_call text, p_reason text, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_reason integer;
BEGIN
    SELECT reason_id INTO v_reason FROM call_reasons WHERE branch_id = v_branch AND code = p_reason AND retired_at IS NULL;
    IF NOT FOUND THEN
        PERFORM fault('/reason', 'there is no such reason in use; GET /api/v1/call-reasons lists them');
    END IF;
    INSERT INTO call_reason_entries (branch_id, call, reason_id, note, by_account, by_person_id)
        SELECT v_branch, p_call, v_reason, p_note, asker_actor(), asker_person()
        WHERE NOT EXISTS (SELECT FROM (SELECT e.reason_id, e.note FROM call_reason_entries e
                                       WHERE e.branch_id = v_branch AND e.call = p_call ORDER BY e.entry_id DESC LIMIT 1) e
                          WHERE e.reason_id = v_reason AND e.note IS NOT DISTINCT FROM p_note);
END $$;
COMMENT ON FUNCTION enter_call_reason(text, text, text) IS 'What a call was about, from now on; the same again changes nothing.';

CREATE OR REPLACE FUNCTION api_set_call_reason(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_call json := call_document(p #>> '{path,id}');
BEGIN
    IF v_call IS NULL THEN
        PERFORM found_nothing('call');
    END IF;
    PERFORM check_members(p, '{reason,note}');
    IF coalesce(jsonb_typeof(p #> '{body,reason}'), '') <> 'string' THEN
        PERFORM fault('/reason', 'the code of a reason');
    ELSIF json_array_length(v_call -> 'orders') + json_array_length(v_call -> 'complaints') > 0 THEN
        PERFORM refuse(409, 'has-record', 'this call led to an order or a complaint, which says why');
    END IF;
    PERFORM enter_call_reason(p #>> '{path,id}', body_text(p, 'reason', 40), body_text(p, 'note', 1000));
    RETURN api_get_call(p);
END $$;
COMMENT ON FUNCTION api_set_call_reason(jsonb) IS 'Gives a call without order and complaint its reason.';

-- Reasons.

CREATE OR REPLACE FUNCTION call_reason_document(r call_reasons) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('code', r.code, 'zh', r.name_zh, 'en', r.name_en, 'position', r.position, 'retired_at', r.retired_at)
$$;
COMMENT ON FUNCTION call_reason_document(call_reasons) IS 'A reason of calls as the console shows it.';

CREATE OR REPLACE FUNCTION call_reason_etag(r call_reasons) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT left(md5(r::text), 16)
$$;
COMMENT ON FUNCTION call_reason_etag(call_reasons) IS 'The version of a reason.';

CREATE OR REPLACE FUNCTION api_list_call_reasons(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after jsonb := asked_cursor(p, 2);
    v_retired text := coalesce(asked_one(p, 'retired', '{true,false,any}'), 'false');
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(call_reason_document(r)), array_agg(jsonb_build_array(r.position, r.code)) INTO v_items, v_keys
    FROM (SELECT * FROM call_reasons r
          WHERE r.branch_id = asker_branch() AND (v_retired = 'any' OR (r.retired_at IS NOT NULL) = (v_retired = 'true'))
            AND (v_after IS NULL OR (r.position, r.code) > (cursor_number(v_after, 0), v_after ->> 1))
          ORDER BY r.position, r.code LIMIT v_limit + 1) r;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_call_reasons(jsonb) IS 'Reasons of calls in their order.';

CREATE OR REPLACE FUNCTION api_get_call_reason(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_reason call_reasons;
BEGIN
    SELECT * INTO v_reason FROM call_reasons WHERE branch_id = asker_branch() AND code = p #>> '{path,code}';
    IF NOT FOUND THEN
        PERFORM found_nothing('reason');
    END IF;
    RETURN answer_json(call_reason_document(v_reason), 200, call_reason_etag(v_reason));
END $$;
COMMENT ON FUNCTION api_get_call_reason(jsonb) IS 'One reason of calls.';

CREATE OR REPLACE FUNCTION body_position(p jsonb) RETURNS smallint LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF jsonb_typeof(p #> '{body,position}') <> 'number' OR p #>> '{body,position}' !~ '^[0-9]{1,4}$' THEN
        PERFORM fault('/position', 'a whole number from 0 to 9999');
    END IF;
    RETURN (p #>> '{body,position}')::smallint;
END $$;
COMMENT ON FUNCTION body_position(jsonb) IS 'A body''s place in lists; null when absent.';

CREATE OR REPLACE FUNCTION save_call_reason(p_code text, p_etag text, p_zh text, p_en text, p_position smallint, p_retired boolean)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_reason call_reasons;
BEGIN
    IF p_etag IS NULL THEN
        INSERT INTO call_reasons (branch_id, code, name_zh, name_en, position)
            VALUES (v_branch, p_code, p_zh, p_en, coalesce(p_position, 100)) ON CONFLICT (branch_id, code) DO NOTHING;
        IF NOT FOUND THEN
            PERFORM refuse(409, 'exists', 'there is a reason with this code, perhaps a retired one: change that');
        END IF;
    ELSE
        SELECT * INTO STRICT v_reason FROM call_reasons WHERE branch_id = v_branch AND code = p_code FOR UPDATE;
        IF call_reason_etag(v_reason) <> p_etag THEN
            PERFORM refuse(412, 'changed-meanwhile', 'somebody changed this meanwhile: read it again');
        END IF;
        UPDATE call_reasons SET name_zh = coalesce(p_zh, name_zh), name_en = coalesce(p_en, name_en), position = coalesce(p_position, position),
                                retired_at = CASE p_retired WHEN true THEN coalesce(retired_at, now()) WHEN false THEN NULL ELSE retired_at END
            WHERE branch_id = v_branch AND code = p_code;
    END IF;
    PERFORM write_audit(v_branch, asker_actor(), CASE WHEN p_etag IS NULL THEN 'call-reason-add' ELSE 'call-reason-change' END, p_code,
        jsonb_strip_nulls(jsonb_build_object('zh', p_zh, 'en', p_en, 'position', p_position, 'retired', p_retired)));
END $$;
COMMENT ON FUNCTION save_call_reason(text, text, text, text, smallint, boolean) IS 'Adds a reason of calls (no etag) or changes one.';

CREATE OR REPLACE FUNCTION api_add_call_reason(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_code text;
BEGIN
    PERFORM check_members(p, '{code,zh,en,position}');
    v_code := body_text(p, 'code', 40);
    IF coalesce(v_code, '') !~ '^[a-z0-9][a-z0-9-]{0,39}$' THEN
        PERFORM fault('/code', 'lower-case letters, digits and dashes');
    ELSIF body_text(p, 'zh') IS NULL THEN
        PERFORM fault('/zh', 'its name in Chinese');
    ELSIF body_text(p, 'en') IS NULL THEN
        PERFORM fault('/en', 'its name in English');
    END IF;
    PERFORM save_call_reason(v_code, NULL, body_text(p, 'zh'), body_text(p, 'en'), body_position(p), NULL);
    RETURN (SELECT answer_json(call_reason_document(r), 201, call_reason_etag(r), '/api/v1/call-reasons/' || v_code)
            FROM call_reasons r WHERE r.branch_id = asker_branch() AND r.code = v_code);
END $$;
COMMENT ON FUNCTION api_add_call_reason(jsonb) IS 'Adds a reason of calls.';

CREATE OR REPLACE FUNCTION api_change_call_reason(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_now answer := api_get_call_reason(p);
BEGIN
    PERFORM check_members(p, '{zh,en,position,retired}');
    PERFORM check_match(p, v_now.etag);
    IF jsonb_typeof(p #> '{body,retired}') <> 'boolean' THEN
        PERFORM fault('/retired', 'true or false');
    ELSIF (p -> 'body' ? 'zh' AND body_text(p, 'zh') IS NULL) OR (p -> 'body' ? 'en' AND body_text(p, 'en') IS NULL) THEN
        PERFORM fault(CASE WHEN body_text(p, 'zh') IS NULL AND p -> 'body' ? 'zh' THEN '/zh' ELSE '/en' END, 'a name is not empty');
    END IF;
    PERFORM save_call_reason(p #>> '{path,code}', v_now.etag, body_text(p, 'zh'), body_text(p, 'en'), body_position(p),
                             (p #>> '{body,retired}')::boolean);
    RETURN api_get_call_reason(p);
END $$;
COMMENT ON FUNCTION api_change_call_reason(jsonb) IS 'Renames, moves, retires or brings back a reason of calls.';

GRANT EXECUTE ON FUNCTION pick_calls, call_reason_of, call_document, api_list_calls, api_get_call, enter_call_reason,
    api_set_call_reason, call_reason_document, call_reason_etag, api_list_call_reasons, api_get_call_reason, body_position, save_call_reason,
    api_add_call_reason, api_change_call_reason TO ringback_console;
