-- The console's targets: how people are reached, in which order, and whether it works. Adding one is the tool's: what must stay
-- secret of it is sealed there (ringback target add).

CREATE OR REPLACE FUNCTION shown_address(p_channel text, p_address text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE p_channel WHEN 'webhook' THEN regexp_replace(p_address, '^(https?://[^/?#]+).*$', '\1/…')
                          WHEN 'email' THEN regexp_replace(p_address, '^(.)[^@]*@', '\1…@')
                          ELSE p_address END
$$;
COMMENT ON FUNCTION shown_address(text, text) IS 'An address as the console shows it: nobody can write to it from there.';

CREATE OR REPLACE FUNCTION target_body(p_target integer) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', t.target_id, 'person', p.code, 'position', t.position, 'channel', t.channel,
        'address', shown_address(t.channel, t.address), 'failures', t.failures,
        'rests_until', CASE WHEN greatest(t.paused_until, b.rest_until) > now() THEN greatest(t.paused_until, b.rest_until) END,
        'retired_at', t.retired_at, 'retired_because', t.retired_because,
        'last_test', (SELECT json_build_object('asked_at', x.asked_at, 'finished_at', x.finished_at, 'outcome', x.outcome,
                                               'status', x.status, 'error', x.error)
                      FROM target_tests x WHERE x.branch_id = t.branch_id AND x.target_id = t.target_id ORDER BY x.asked_at DESC LIMIT 1))
    FROM targets t JOIN people p USING (branch_id, person_id) LEFT JOIN buckets b USING (branch_id, bucket)
    WHERE t.branch_id = asker_branch() AND t.target_id = p_target
$$;
COMMENT ON FUNCTION target_body(integer) IS 'A target as the console shows it.';

CREATE OR REPLACE FUNCTION api_list_targets(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after jsonb := asked_cursor(p, 3);
    v_place bigint := cursor_number(v_after, 1);
    v_number bigint := cursor_number(v_after, 2);
    v_state text := coalesce(asked_one(p, 'state', '{live,retired}'), 'live');
    v_channel text := asked_one(p, 'channel', '{webhook,wecom,dingtalk,email,console}');
    v_person integer := person_asked(p, 'person')::integer;
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(target_body(q.target_id) ORDER BY q.code, q.position, q.target_id),
           array_agg(jsonb_build_array(q.code, q.position, q.target_id) ORDER BY q.code, q.position, q.target_id)
        INTO v_items, v_keys
    FROM (SELECT t.target_id, t.position, p.code FROM targets t JOIN people p USING (branch_id, person_id)
          WHERE t.branch_id = asker_branch() AND (t.retired_at IS NULL) = (v_state = 'live')
            AND (v_channel IS NULL OR t.channel = v_channel) AND (v_person IS NULL OR t.person_id = v_person)
            AND (v_after IS NULL OR (p.code, t.position, t.target_id) > (v_after ->> 0, v_place, v_number))
          ORDER BY p.code, t.position, t.target_id LIMIT v_limit + 1) q;
    RETURN page_of(v_items, v_keys, v_limit);
END $$;
COMMENT ON FUNCTION api_list_targets(jsonb) IS 'Targets by person and place; his own, for those in charge everybody''s.';

-- Changes are for the person himself and for administrators; a supervisor looks.
CREATE OR REPLACE FUNCTION target_asked(p jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_target bigint := asked_id(p, 'target');
BEGIN
    IF NOT EXISTS (SELECT FROM targets t WHERE t.branch_id = asker_branch() AND t.target_id = v_target AND t.retired_at IS NULL
                   AND (t.person_id = asker_person() OR asker_role() = 'administrator')) THEN
        PERFORM found_nothing('target');
    END IF;
    RETURN v_target::text;
END $$;
COMMENT ON FUNCTION target_asked(jsonb) IS 'The target in a path that who asks may change.';

CREATE OR REPLACE FUNCTION api_order_targets(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_person people;
    v_code text;
    v_ids jsonb := p #> '{body,targets}';
BEGIN
    PERFORM check_members(p, '{person,targets}');
    v_code := body_text(p, 'person');
    SELECT * INTO v_person FROM people WHERE branch_id = asker_branch()
        AND CASE WHEN v_code IS NULL THEN person_id = asker_person() ELSE code = v_code END;
    IF v_person.person_id IS NULL OR (v_person.person_id <> coalesce(asker_person(), 0) AND asker_role() <> 'administrator') THEN
        PERFORM fault('/person', 'the code of somebody whose targets you may change; your own when it is absent');
    ELSIF jsonb_typeof(v_ids) IS DISTINCT FROM 'array' OR EXISTS (
            SELECT FROM jsonb_array_elements(v_ids) x WHERE jsonb_typeof(x) <> 'number' OR x::text !~ '^[0-9]{1,9}$') THEN
        PERFORM fault('/targets', 'the numbers of all his targets, the one to be used first in front');
    END IF;
    PERFORM put_targets_in_order(v_person.person_id, ARRAY(SELECT x::text::integer FROM jsonb_array_elements(v_ids) WITH ORDINALITY AS e (x, n)
                                                           ORDER BY n));
    RETURN answer_json(json_build_object('items', (SELECT coalesce(json_agg(target_body(t.target_id) ORDER BY t.position), '[]') FROM targets t
        WHERE t.branch_id = asker_branch() AND t.person_id = v_person.person_id AND t.retired_at IS NULL), 'next', NULL));
END $$;
COMMENT ON FUNCTION api_order_targets(jsonb) IS 'The order in which a person''s channels are used.';

CREATE OR REPLACE FUNCTION put_targets_in_order(p_person integer, p_targets integer[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_live integer[];
BEGIN
    IF p_person IS DISTINCT FROM asker_person() AND asker_role() <> 'administrator' THEN
        PERFORM refuse(403, 'forbidden', 'these are somebody else''s targets');
    END IF;
    v_live := ARRAY(SELECT target_id FROM targets WHERE branch_id = asker_branch() AND person_id = p_person AND retired_at IS NULL
                    ORDER BY target_id FOR NO KEY UPDATE);
    IF v_live IS DISTINCT FROM ARRAY(SELECT x FROM unnest(p_targets) x ORDER BY 1) THEN
        PERFORM refuse(409, 'changed-meanwhile', 'these are not all of his targets, each once: read them again');
    END IF;
    UPDATE targets t SET position = x.place FROM unnest(p_targets) WITH ORDINALITY AS x (target, place)
        WHERE t.branch_id = asker_branch() AND t.target_id = x.target AND t.position <> x.place;
    PERFORM write_audit(asker_branch(), asker_actor(), 'target-order', (SELECT code FROM people
            WHERE branch_id = asker_branch() AND person_id = p_person), jsonb_build_object('targets', to_jsonb(p_targets)));
END $$;
REVOKE EXECUTE ON FUNCTION put_targets_in_order FROM PUBLIC;
COMMENT ON FUNCTION put_targets_in_order(integer, integer[]) IS 'Sets the places of all of a person''s targets.';

CREATE OR REPLACE FUNCTION change_own_target(p_target text, p_what text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
BEGIN
    IF asker_role() <> 'administrator' AND (live_target(asker_branch(), p_target)).person_id IS DISTINCT FROM asker_person() THEN
        PERFORM refuse(403, 'forbidden', 'this is somebody else''s target');
    ELSIF p_what = 'test' THEN
        PERFORM test_target(asker_branch(), p_target, asker_actor());
    ELSIF p_what = 'retire' THEN
        PERFORM retire_target(asker_branch(), p_target, asker_actor());
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION change_own_target FROM PUBLIC;
COMMENT ON FUNCTION change_own_target(text, text) IS 'Tests or retires a target for who asks: his own, or anybody''s for an administrator.';

CREATE OR REPLACE FUNCTION api_test_target(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_target text := target_asked(p);
BEGIN
    PERFORM change_own_target(v_target, 'test');
    RETURN answer_json(target_body(v_target::integer), 202);
END $$;
COMMENT ON FUNCTION api_test_target(jsonb) IS 'Has a message sent there; the target''s last_test says what came of it.';

CREATE OR REPLACE FUNCTION api_retire_target(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM change_own_target(target_asked(p), 'retire');
    RETURN (204, NULL, NULL, NULL, NULL, NULL, NULL)::answer;
END $$;
COMMENT ON FUNCTION api_retire_target(jsonb) IS 'Nothing goes there any more; what waited for it is passed on.';
GRANT EXECUTE ON FUNCTION shown_address, target_body, target_asked, put_targets_in_order, change_own_target, api_list_targets,
    api_order_targets, api_test_target, api_retire_target TO ringback_console;
