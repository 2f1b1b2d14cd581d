-- The console's retailers: the one-breath profile (一口清) that stands on the screen before the caller has said his name, lists,
-- and what an account manager learns on a visit.

-- What a retailer was granted in this order cycle and in the last, and whether that is more than usual: the mean of those of the
-- eight cycles before in which he ordered, else a week of his monthly volume.
CREATE OR REPLACE FUNCTION retailer_sales(p_retailer integer, p_monthly_volume integer) RETURNS json
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_branch integer := asker_branch();
    v_from date;
    v_sales json;
BEGIN
    SELECT t.today - (extract(isodow FROM t.today)::integer - b.cycle_first_day + 7) % 7 INTO v_from
    FROM branches b CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE b.timezone)::date AS today) t WHERE b.branch_id = v_branch;

    WITH cycle AS MATERIALIZED (
        SELECT y.starts_on, count(DISTINCT o.reference) AS orders, sum(l.granted_cartons) AS cartons,
               sum(l.granted_cartons::bigint * l.price_fen) AS amount_fen
        FROM orders o
        JOIN order_cycles y ON y.branch_id = v_branch AND y.cycle_id = o.cycle_id
        JOIN order_lines l ON l.branch_id = v_branch AND l.reference = o.reference
        WHERE o.branch_id = v_branch AND o.retailer_id = p_retailer AND o.stored_at >= (v_from - 64)::timestamptz
        GROUP BY y.starts_on
    ), usual AS (
        SELECT coalesce(avg(c.cartons), p_monthly_volume * 7 / 30.0) AS cartons,
               CASE WHEN count(*) > 0 THEN 'orders' WHEN p_monthly_volume IS NOT NULL THEN 'monthly_volume' END AS by
        FROM cycle c WHERE c.starts_on < v_from - 7
    )
    SELECT json_build_object(
        'this_cycle', json_build_object('from', v_from, 'to', v_from + 6, 'orders', coalesce(t.orders, 0),
            'cartons', coalesce(t.cartons, 0), 'amount_fen', coalesce(t.amount_fen, 0)),
        'last_cycle', json_build_object('from', v_from - 7, 'to', v_from - 1, 'orders', coalesce(l.orders, 0),
            'cartons', coalesce(l.cartons, 0), 'amount_fen', coalesce(l.amount_fen, 0)),
        'usual_cartons', round(u.cartons, 1), 'usual_by', u.by,
        'change_percent', round((coalesce(l.cartons, 0) - u.cartons) * 100 / nullif(u.cartons, 0), 1)) INTO v_sales
    FROM usual u LEFT JOIN cycle t ON t.starts_on = v_from LEFT JOIN cycle l ON l.starts_on = v_from - 7;
    RETURN v_sales;
END $$;
COMMENT ON FUNCTION retailer_sales(integer, integer) IS 'Cartons and amounts of this and the last cycle, and the last against the usual.';

-- One flat statement, planned once a connection. As the owner: with the policies of six tables in it, a hundred and forty sub-plans,
-- starting it takes several times what running it does. So the shop is found under row-level security first (api_get_retailer,
-- retailers_by_phone), and what the policies say of it and of its follow-ups is said here once more.
CREATE OR REPLACE FUNCTION retailer_profile(p_retailer integer) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_branch integer := asker_branch();
    v_everything boolean := asker_everything();
    v_reports boolean := asker_reports();
    v_managers integer[] := asker_managers();
    v_requests bigint[] := CASE WHEN asker_everything() THEN '{}' ELSE asker_requests() END;
    v_shops integer[] := CASE WHEN asker_everything() THEN '{}' ELSE asker_request_retailers() END;
    v_his boolean := asker_everything() OR asker_role() IN ('account_manager', 'market_manager');
    v_profile json;
BEGIN
    SELECT json_build_object('code', r.code, 'name', r.name, 'address', r.address,
        'phones', (SELECT coalesce(json_agg(h.phone ORDER BY h.position), '[]') FROM retailer_phones h
                   WHERE h.branch_id = v_branch AND h.retailer_id = p_retailer),
        'legal_person', r.legal_person, 'trade_type', r.trade_type, 'market_type', r.market_type,
        'business_circle', r.business_circle, 'licence', r.licence, 'settlement', r.settlement, 'family', r.family,
        'monthly_volume', r.monthly_volume, 'tier', r.tier, 'class', r.class, 'compliance', r.compliance,
        'manager', (SELECT json_build_object('code', m.code, 'name', m.name) FROM people m
                    WHERE m.branch_id = v_branch AND m.person_id = r.manager_id),
        'area', (SELECT a.code FROM areas a WHERE a.branch_id = v_branch AND a.area_id = r.area_id),
        'route', (SELECT o.code FROM routes o WHERE o.branch_id = v_branch AND o.route_id = r.route_id),
        'order_day', r.order_day, 'retired_at', r.retired_at, 'changed_at', r.changed_at,
        'sales', retailer_sales(p_retailer, r.monthly_volume),
        'last_orders', (
            SELECT coalesce(json_agg(json_build_object('reference', o.reference::text, 'placed_at', o.placed_at, 'cartons', o.cartons,
                                                       'amount_fen', o.amount_fen) ORDER BY o.stored_at DESC, o.reference DESC), '[]')
            FROM (SELECT o.reference, o.placed_at, o.stored_at, s.cartons, s.amount_fen FROM orders o
                  CROSS JOIN LATERAL (SELECT coalesce(sum(l.granted_cartons), 0) AS cartons,
                                             coalesce(sum(l.granted_cartons::bigint * l.price_fen), 0) AS amount_fen
                                      FROM order_lines l WHERE l.branch_id = v_branch AND l.reference = o.reference) s
                  WHERE o.branch_id = v_branch AND o.retailer_id = p_retailer ORDER BY o.stored_at DESC LIMIT 5) o),
        'follow_ups', (
            SELECT coalesce(json_agg(json_build_object('id', f.follow_up_id, 'complaint', f.complaint::text, 'kind', f.kind,
                        'category', f.category, 'severity', f.severity, 'state', f.state, 'owner', f.owner, 'raised_at', f.raised_at,
                        'due_at', f.due_at, 'proof', f.proof, 'text', f.text) ORDER BY f.due_at, f.follow_up_id), '[]')
            FROM (SELECT f.follow_up_id, f.complaint, f.kind, f.category, f.severity, f.state, o.code AS owner, f.raised_at, f.due_at,
                         f.proof, left(c.text, 200) AS text
                  FROM follow_ups f
                  LEFT JOIN complaints c ON c.branch_id = v_branch AND c.reference = f.complaint
                  LEFT JOIN people o ON o.branch_id = v_branch AND o.person_id = f.owner_id
                  WHERE f.branch_id = v_branch AND f.retailer_id = p_retailer AND f.state <> 'closed'
                    AND CASE WHEN f.kind = 'report' THEN v_reports
                             ELSE v_his OR f.owner_id = ANY (v_managers) OR f.follow_up_id = ANY (v_requests) END
                  ORDER BY f.due_at LIMIT 20) f),
        'last_calls', (
            SELECT coalesce(json_agg(json_build_object('id', c.call, 'direction', c.direction,
                        'state', (ARRAY['ringing', 'answered', 'ended'])[c.state], 'from', c.from_number, 'to', c.to_number,
                        'at', c.first_seen_at, 'seconds', c.seconds) ORDER BY c.first_seen_at DESC, c.call), '[]')
            FROM (SELECT c.* FROM calls c WHERE c.branch_id = v_branch AND c.retailer_id = p_retailer
                  ORDER BY c.first_seen_at DESC LIMIT 5) c))
        INTO v_profile
    FROM retailers r WHERE r.branch_id = v_branch AND r.retailer_id = p_retailer
        AND (v_everything OR asker_role() = 'inspector' OR r.manager_id = ANY (v_managers) OR r.area_id = asker_area()
             OR r.retailer_id = ANY (v_shops));
    RETURN v_profile;
END $$;
COMMENT ON FUNCTION retailer_profile(integer) IS 'All that one should be able to say of a retailer without looking it up; null: not his to see.';

CREATE OR REPLACE FUNCTION retailer_summary(p_retailer integer) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT json_build_object('code', r.code, 'name', r.name, 'address', r.address,
            'phones', (SELECT coalesce(json_agg(h.phone ORDER BY h.position), '[]') FROM retailer_phones h
                       WHERE h.branch_id = r.branch_id AND h.retailer_id = r.retailer_id),
            'legal_person', r.legal_person, 'tier', r.tier, 'class', r.class, 'compliance', r.compliance,
            'manager', json_build_object('code', m.code, 'name', m.name), 'area', a.code, 'route', o.code,
            'order_day', r.order_day, 'retired_at', r.retired_at)
        FROM retailers r
        JOIN people m ON m.branch_id = r.branch_id AND m.person_id = r.manager_id
        LEFT JOIN areas a ON a.branch_id = r.branch_id AND a.area_id = r.area_id
        LEFT JOIN routes o ON o.branch_id = r.branch_id AND o.route_id = r.route_id
        WHERE r.branch_id = asker_branch() AND r.retailer_id = p_retailer);
END $$;
COMMENT ON FUNCTION retailer_summary(integer) IS 'A retailer as lists show him.';

-- What the policy of retailers leaves of them, as a condition that an index serves, but for those whose follow-up he is asked about.
CREATE OR REPLACE FUNCTION retailers_scope() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN asker_everything() OR asker_role() = 'inspector' THEN ''
                WHEN asker_area() IS NULL THEN ' AND r.manager_id = ANY (asker_managers())'
                ELSE ' AND (r.manager_id = ANY (asker_managers()) OR r.area_id = asker_area())' END
$$;
COMMENT ON FUNCTION retailers_scope() IS 'A condition for lists over retailers r: those who asks may see.';

CREATE OR REPLACE FUNCTION pick_retailers(p jsonb, OUT ids text[], OUT next jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_prefix text := asked_text(p, 'q');
    v_rows text := format('SELECT r.retailer_id, r.code, true%s%s%s AS ok FROM retailers r WHERE r.branch_id = %s AND r.retired_at IS %s%s%s%s%s%s%s',
        clause(' AND r.tier = %s', asked_whole(p, 'tier', 1, 4)::text),
        clause(' AND r.class = %L', asked_one(p, 'class', '{key,ordinary}')),
        clause(' AND r.order_day = %s', asked_whole(p, 'order_day', 1, 7)::text),
        asker_branch(), CASE WHEN asked_flag(p, 'retired') THEN 'NOT NULL' ELSE 'NULL' END, retailers_scope(),
        clause(' AND r.retailer_id IN (SELECT h.retailer_id FROM retailer_phones h WHERE h.branch_id = asker_branch() AND h.phone = %L)', asked_phone(p)),
        clause(' AND r.manager_id = %s', person_asked(p, 'manager')), clause(' AND r.area_id = %s', area_asked(p)),
        clause(' AND r.route_id = %s', CASE WHEN asked_text(p, 'route') IS NOT NULL THEN coalesce((SELECT o.route_id FROM routes o
            WHERE o.branch_id = asker_branch() AND o.code = asked_text(p, 'route')), -1)::text END),
        clause(' AND r.code > %L', asked_cursor(p, 1) ->> 0));
    v_reach integer := CASE WHEN p -> 'query' ?| '{tier,class,order_day}' THEN 20000 ELSE asked_limit(p) + 1 END;
BEGIN
    IF v_prefix IS NOT NULL THEN
        v_rows := format('(%1$s AND r.code COLLATE "C" >= %2$L AND r.code COLLATE "C" < %2$L || chr(1114111) ORDER BY r.code LIMIT %3$s) UNION
            (%1$s AND r.name COLLATE "C" >= %2$L AND r.name COLLATE "C" < %2$L || chr(1114111) ORDER BY r.code LIMIT %3$s)', v_rows, v_prefix, v_reach);
    END IF;
    SELECT w.ids, w.next INTO ids, next
        FROM walk(format('SELECT r.retailer_id AS id, jsonb_build_array(r.code) AS key, r.ok FROM (%s) r ORDER BY r.code', v_rows), asked_limit(p), v_reach) w;
END $$;
COMMENT ON FUNCTION pick_retailers(jsonb) IS 'The retailers of a page of the list.';

CREATE OR REPLACE FUNCTION api_list_retailers(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_phone text := asked_phone(p);
    v_ids text[];
    v_next jsonb;
BEGIN
    IF v_phone IS NOT NULL AND (p -> 'query') - '{phone,limit,cursor}'::text[] = '{}' THEN
        RETURN retailers_by_phone(v_phone, asked_cursor(p, 1) ->> 0, asked_limit(p));
    END IF;
    SELECT ids, next INTO v_ids, v_next FROM pick_retailers(p);
    RETURN page_of((SELECT array_agg(x.item ORDER BY x.n) FILTER (WHERE x.item IS NOT NULL)
        FROM (SELECT CASE WHEN v_phone IS NULL THEN retailer_summary(u.id::integer) ELSE retailer_profile(u.id::integer) END AS item, u.n
              FROM unnest(v_ids) WITH ORDINALITY AS u (id, n)) x), v_next);
END $$;
COMMENT ON FUNCTION api_list_retailers(jsonb) IS 'Retailers by code; by phone as whole profiles.';

-- The screen pop: apart from the list, so that its two statements are planned once.
CREATE OR REPLACE FUNCTION retailers_by_phone(p_phone text, p_after text, p_limit integer) RETURNS answer
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_branch integer := asker_branch();
    v_items json[];
    v_keys jsonb[];
BEGIN
    SELECT array_agg(retailer_profile(x.retailer_id)), array_agg(jsonb_build_array(x.code)) INTO v_items, v_keys
    FROM (SELECT r.retailer_id, r.code FROM retailer_phones h
          JOIN retailers r ON r.branch_id = v_branch AND r.retailer_id = h.retailer_id
          WHERE h.branch_id = v_branch AND h.phone = p_phone AND r.retired_at IS NULL
            AND (p_after IS NULL OR r.code > p_after)
          ORDER BY r.code LIMIT p_limit + 1) x;
    RETURN page_of(v_items, v_keys, p_limit);
END $$;
COMMENT ON FUNCTION retailers_by_phone(text, text, integer) IS 'The profiles of all who have this number.';

-- Read before any change and by its ETag: all that may change a profile's own data goes with changed_at.
CREATE OR REPLACE FUNCTION retailer_etag(p_changed_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT round(extract(epoch FROM p_changed_at) * 1000000)::bigint::text
$$;
COMMENT ON FUNCTION retailer_etag(timestamptz) IS 'The version of a retailer''s data.';

CREATE OR REPLACE FUNCTION api_get_retailer(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    r record;
BEGIN
    SELECT retailer_id, changed_at INTO r FROM retailers WHERE branch_id = asker_branch() AND code = p #>> '{path,code}';
    IF NOT FOUND THEN
        PERFORM found_nothing('retailer');
    END IF;
    RETURN answer_json(retailer_profile(r.retailer_id), 200, retailer_etag(r.changed_at));
END $$;
COMMENT ON FUNCTION api_get_retailer(jsonb) IS 'The one-breath profile.';

CREATE OR REPLACE FUNCTION change_retailer_contact(p_retailer integer, p_etag text, p_values jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_before retailers;
    v_phones text[];
    v_old jsonb;
BEGIN
    SELECT * INTO STRICT v_before FROM retailers WHERE branch_id = v_branch AND retailer_id = p_retailer FOR UPDATE;
    IF retailer_etag(v_before.changed_at) <> p_etag THEN
        PERFORM refuse(412, 'changed-meanwhile', 'somebody changed this meanwhile: read it again');
    END IF;
    SELECT coalesce(array_agg(phone ORDER BY position), '{}') INTO v_phones FROM retailer_phones
        WHERE branch_id = v_branch AND retailer_id = p_retailer;
    v_old := to_jsonb(v_before) || jsonb_build_object('phones', v_phones);
    SELECT jsonb_object_agg(n.key, n.value) INTO p_values FROM jsonb_each(p_values) n WHERE v_old -> n.key <> n.value;
    IF p_values IS NULL THEN
        RETURN;
    END IF;
    IF p_values ? 'phones' THEN
        DELETE FROM retailer_phones WHERE branch_id = v_branch AND retailer_id = p_retailer;
        INSERT INTO retailer_phones (branch_id, retailer_id, phone, position)
            SELECT v_branch, p_retailer, h.phone, h.position
            FROM jsonb_array_elements_text(p_values -> 'phones') WITH ORDINALITY h (phone, position);
    END IF;
    UPDATE retailers r SET address = n.address, family = n.family, legal_person = n.legal_person, business_circle = n.business_circle,
                           monthly_volume = n.monthly_volume, changed_at = clock_timestamp()
        FROM jsonb_populate_record(v_before, p_values - 'phones') n
        WHERE r.branch_id = v_branch AND r.retailer_id = p_retailer;
    INSERT INTO retailer_changes (branch_id, retailer_id, changed_by, old_values, new_values)
        SELECT v_branch, p_retailer, asker_actor(), jsonb_object_agg(n.key, v_old -> n.key), p_values FROM jsonb_each(p_values) n;
END $$;
COMMENT ON FUNCTION change_retailer_contact(integer, text, jsonb) IS
    'Changes what an account manager learns on a visit; the former values go into the retailer''s history.';

CREATE OR REPLACE FUNCTION body_phones(p jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_area text := (SELECT area_code FROM branches WHERE branch_id = asker_branch());
    v_list jsonb := p #> '{body,phones}';
    v_numbers text[] := '{}';
    v_number text;
BEGIN
    IF jsonb_typeof(v_list) <> 'array' OR jsonb_array_length(v_list) NOT BETWEEN 1 AND 20 THEN
        PERFORM fault('/phones', 'an array of 1 to 20 numbers');
    END IF;
    FOR n IN 0 .. jsonb_array_length(v_list) - 1 LOOP
        v_number := CASE jsonb_typeof(v_list -> n) WHEN 'string' THEN phone_number(v_list ->> n, v_area) END;
        IF v_number IS NULL THEN
            PERFORM fault('/phones/' || n, 'this is no telephone number');
        ELSIF v_number <> ALL (v_numbers) THEN
            v_numbers := v_numbers || v_number;
        END IF;
    END LOOP;
    RETURN to_jsonb(v_numbers);
END $$;
COMMENT ON FUNCTION body_phones(jsonb) IS 'A body''s phones in their stored spelling.';

CREATE OR REPLACE FUNCTION api_change_retailer(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_retailer retailers;
    v_values jsonb := '{}';
    v_volume jsonb := p #> '{body,monthly_volume}';
    v_name text;
BEGIN
    SELECT * INTO v_retailer FROM retailers WHERE branch_id = asker_branch() AND code = p #>> '{path,code}';
    IF NOT FOUND THEN
        PERFORM found_nothing('retailer');
    END IF;
    PERFORM check_members(p, '{phones,address,family,legal_person,business_circle,monthly_volume}');
    PERFORM check_match(p, retailer_etag(v_retailer.changed_at));
    FOREACH v_name IN ARRAY '{address,family,legal_person,business_circle}'::text[] LOOP
        IF p -> 'body' ? v_name THEN
            v_values := v_values || jsonb_build_object(v_name, body_text(p, v_name, 500));
        END IF;
    END LOOP;
    IF v_volume IS NOT NULL THEN
        IF jsonb_typeof(v_volume) NOT IN ('number', 'null') OR v_volume #>> '{}' !~ '^[0-9]{1,7}$' THEN
            PERFORM fault('/monthly_volume', 'a whole number of cartons from 0 to 9999999, or null');
        END IF;
        v_values := v_values || jsonb_build_object('monthly_volume', v_volume);
    END IF;
    IF p -> 'body' ? 'phones' THEN
        v_values := v_values || jsonb_build_object('phones', body_phones(p));
    END IF;
    PERFORM change_retailer_contact(v_retailer.retailer_id, retailer_etag(v_retailer.changed_at), v_values);
    RETURN api_get_retailer(p);
END $$;
COMMENT ON FUNCTION api_change_retailer(jsonb) IS 'What an account manager learns on a visit, by If-Match.';

GRANT EXECUTE ON FUNCTION retailer_sales, retailer_profile, retailer_summary, pick_retailers, api_list_retailers, retailers_by_phone,
    retailer_etag, api_get_retailer, change_retailer_contact, body_phones, api_change_retailer TO ringback_console;
