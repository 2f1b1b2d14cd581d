-- Orders and complaints that people enter at the console. Here is decided who may enter what; then server/console/entry.c makes
-- the event of it, which goes through intake like every other (45-take-events.sql).

CREATE OR REPLACE FUNCTION console_gateway() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_branch integer := asker_branch();
    v_gateway integer := (SELECT gateway_id FROM gateways WHERE branch_id = v_branch AND built_in);
BEGIN
    IF v_gateway IS NULL THEN
        INSERT INTO gateways (branch_id, name, built_in) SELECT branch_id, 'console/' || code, true FROM branches WHERE branch_id = v_branch
            ON CONFLICT (branch_id) WHERE built_in DO NOTHING;
        SELECT gateway_id INTO STRICT v_gateway FROM gateways WHERE branch_id = v_branch AND built_in;
    END IF;
    RETURN v_gateway;
END $$;
COMMENT ON FUNCTION console_gateway() IS 'The gateway that stands for the console of the asker''s branch, made when it is first needed.';

CREATE OR REPLACE FUNCTION allow_entry(p jsonb, p_type text, p_members text[]) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id jsonb := p #> '{body,id}';
BEGIN
    PERFORM check_members(p, p_members);
    IF coalesce(jsonb_typeof(v_id), '') <> 'string' OR length(v_id #>> '{}') NOT BETWEEN 1 AND 256 THEN
        PERFORM fault('/id', 'a text of 1 to 256 characters, another one for each thing entered');
    END IF;
    RETURN answer_json(jsonb_build_object('type', p_type, 'branch', asker_branch(), 'gateway', console_gateway(), 'entered_by', asker_actor(),
        'operator', (SELECT code FROM people WHERE branch_id = asker_branch() AND person_id = asker_person() AND role = 'operator'),
        'area_code', (SELECT area_code FROM branches WHERE branch_id = asker_branch())));
END $$;
COMMENT ON FUNCTION allow_entry(jsonb, text, text[]) IS 'Says to the daemon as what and for whom a body goes to intake.';

CREATE OR REPLACE FUNCTION api_add_order(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    RETURN allow_entry(p, 'ringback.order.placed', '{id,retailer,caller,lines,call,note}');
END $$;
COMMENT ON FUNCTION api_add_order(jsonb) IS 'Whether who asks may place this order; intake places it.';

CREATE OR REPLACE FUNCTION api_add_complaint(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_order text := p #>> '{body,order}';
BEGIN
    IF NOT asker_everything() THEN
        IF NOT EXISTS (SELECT FROM retailers r WHERE r.branch_id = asker_branch() AND r.code = p #>> '{body,retailer}') THEN
            PERFORM refuse(422, 'unknown-retailer', 'name one of your retailers by his code', jsonb_build_array(jsonb_build_object(
                'pointer', '/retailer', 'code', 'unknown-retailer', 'detail', 'none of your retailers has this code')));
        ELSIF reference_is_valid(v_order) AND NOT EXISTS (SELECT FROM orders o WHERE o.branch_id = asker_branch() AND o.reference = v_order::bigint) THEN
            PERFORM refuse(422, 'bad-reference', 'no order has this reference', jsonb_build_array(jsonb_build_object(
                'pointer', '/order', 'code', 'bad-reference', 'detail', 'no order has this reference')));
        END IF;
    END IF;
    RETURN allow_entry(p, 'ringback.complaint.raised', '{id,retailer,caller,text,kind,category,severity,order,call}');
END $$;
COMMENT ON FUNCTION api_add_complaint(jsonb) IS 'Whether who asks may raise this complaint; intake takes it.';

GRANT EXECUTE ON FUNCTION console_gateway, allow_entry, api_add_order, api_add_complaint TO ringback_console;
