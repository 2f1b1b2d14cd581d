-- What the administrator's tool does beyond imports: branches, gateways' keys, accounts (targets: 71-targets.sql). Run by the owner only; each
-- change leaves a row in the audit log. A refusal is raised as P0001 in words for the person at the terminal.

CREATE OR REPLACE FUNCTION write_audit(p_branch integer, p_actor text, p_action text, p_subject text, p_details jsonb DEFAULT '{}')
RETURNS void LANGUAGE sql AS $$
    INSERT INTO audit_log (branch_id, actor, action, subject, details) VALUES (p_branch, p_actor, p_action, p_subject, p_details)
$$;
COMMENT ON FUNCTION write_audit(integer, text, text, text, jsonb) IS 'Adds a row to the audit log.';

CREATE OR REPLACE FUNCTION check_name(p_what text, p_value text, p_most integer DEFAULT 200) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF p_value !~ '[^[:space:]]' THEN
        RAISE EXCEPTION 'the % is empty', p_what;
    ELSIF p_value ~ '[[:cntrl:]]' THEN
        RAISE EXCEPTION 'the % holds a control character', p_what;
    ELSIF length(p_value) > p_most THEN
        RAISE EXCEPTION 'the % is longer than % characters', p_what, p_most;
    END IF;
END $$;
COMMENT ON FUNCTION check_name(text, text, integer) IS 'Refuses an empty, overlong or unprintable name.';

-- Settings of a branch: null keeps, '' clears what may be empty.
CREATE OR REPLACE FUNCTION set_branch(p_branch integer, p_name text, p_timezone text, p_area_code text, p_cycle_first_day text,
                                      p_duty_supervisor text, p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_duty people;
BEGIN
    PERFORM check_name('name', p_name);
    IF p_timezone IS NOT NULL AND NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = p_timezone) THEN
        RAISE EXCEPTION 'there is no time zone "%"', p_timezone USING HINT = 'names are like Asia/Shanghai';
    END IF;
    IF p_area_code <> '' AND p_area_code !~ '^0[0-9]{2,3}$' THEN
        RAISE EXCEPTION '"%" is no area code', p_area_code USING HINT = 'it is written with its trunk 0, like 0416';
    END IF;
    IF p_cycle_first_day !~ '^[1-7]$' THEN
        RAISE EXCEPTION '"%" is no day', p_cycle_first_day USING HINT = '1 is Monday, 7 is Sunday';
    END IF;
    IF p_duty_supervisor <> '' THEN
        SELECT * INTO v_duty FROM people WHERE branch_id = p_branch AND code = p_duty_supervisor;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no person "%"', p_duty_supervisor;
        ELSIF v_duty.role <> 'supervisor' OR v_duty.retired_at IS NOT NULL THEN
            RAISE EXCEPTION '% is no active supervisor', p_duty_supervisor;
        END IF;
    END IF;
    UPDATE branches SET
        name = coalesce(p_name, name),
        timezone = coalesce(p_timezone, timezone),
        area_code = CASE WHEN p_area_code IS NULL THEN area_code ELSE nullif(p_area_code, '') END,
        cycle_first_day = coalesce(p_cycle_first_day::smallint, cycle_first_day),
        duty_supervisor_id = CASE WHEN p_duty_supervisor IS NULL THEN duty_supervisor_id ELSE v_duty.person_id END
    WHERE branch_id = p_branch;
    PERFORM write_audit(p_branch, p_actor, 'branch-set', (SELECT code FROM branches WHERE branch_id = p_branch),
        jsonb_strip_nulls(jsonb_build_object('name', p_name, 'timezone', p_timezone, 'area_code', p_area_code,
            'cycle_first_day', p_cycle_first_day, 'duty_supervisor', p_duty_supervisor)));
END $$;
COMMENT ON FUNCTION set_branch(integer, text, text, text, text, text, text) IS 'Changes settings of a branch; null keeps, empty clears.';

CREATE OR REPLACE FUNCTION make_branch(p_code text, p_name text, p_timezone text, p_area_code text, p_cycle_first_day text,
                                       p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_branch integer;
BEGIN
    PERFORM check_name('code', p_code, 64);
    IF p_code ~ '[[:space:]]' THEN
        RAISE EXCEPTION '"%" is no code for a branch', p_code USING HINT = 'it is one word';
    END IF;
    PERFORM check_name('name', p_name);
    BEGIN
        v_branch := add_branch(p_code, p_name);
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'branch "%" exists already', p_code;
    END;
    PERFORM set_branch(v_branch, p_name, p_timezone, p_area_code, p_cycle_first_day, NULL, p_actor);
END $$;
COMMENT ON FUNCTION make_branch(text, text, text, text, text, text) IS 'A new branch with its settings; refused when the code exists.';

CREATE OR REPLACE FUNCTION first_branch(p_code text, p_name text, p_timezone text, p_actor text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM branches) THEN
        RETURN false;
    END IF;
    PERFORM make_branch(p_code, p_name, p_timezone, NULL, NULL, p_actor);
    RETURN true;
END $$;
COMMENT ON FUNCTION first_branch(text, text, text, text) IS 'Makes the first branch when there is none; gives whether it did.';

CREATE OR REPLACE FUNCTION add_gateway(p_branch integer, p_name text, p_sealed_key bytea, p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_there text;
BEGIN
    PERFORM check_name('gateway''s name', p_name, 100);
    IF p_name LIKE '%:%' THEN
        RAISE EXCEPTION 'a gateway''s name holds no colon' USING HINT = 'it is the user name for Basic authentication';
    END IF;
    INSERT INTO gateways (branch_id, name, sealed_key) VALUES (p_branch, p_name, p_sealed_key) ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        SELECT CASE WHEN g.retired_at IS NULL THEN '' ELSE ' (retired)' END
               || CASE WHEN g.branch_id = p_branch THEN '' ELSE ' in branch ' || b.code END INTO v_there
            FROM gateways g JOIN branches b USING (branch_id) WHERE g.name = p_name;
        RAISE EXCEPTION 'gateway "%" exists already%', p_name, v_there USING HINT = 'retire it and add one with another name';
    END IF;
    PERFORM write_audit(p_branch, p_actor, 'gateway-add', p_name);
END $$;
COMMENT ON FUNCTION add_gateway(integer, text, bytea, text) IS 'A new gateway with its sealed key; refused when the name exists.';

CREATE OR REPLACE FUNCTION retire_gateway(p_branch integer, p_name text, p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gateways SET retired_at = now()
        WHERE branch_id = p_branch AND name = p_name AND retired_at IS NULL AND NOT built_in;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no active gateway "%"', p_name;
    END IF;
    PERFORM write_audit(p_branch, p_actor, 'gateway-retire', p_name);
END $$;
COMMENT ON FUNCTION retire_gateway(integer, text, text) IS 'From now on its key opens nothing.';

CREATE OR REPLACE FUNCTION add_account(p_branch integer, p_name text, p_role text, p_person text, p_password_hash text, p_actor text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_person people;
BEGIN
    PERFORM check_name('user''s name', p_name, 100);
    IF p_role NOT IN ('operator', 'account_manager', 'market_manager', 'supervisor', 'deliverer', 'inspector', 'administrator') THEN
        RAISE EXCEPTION 'there is no role "%"', p_role
            USING HINT = 'roles: operator, account_manager, market_manager, supervisor, deliverer, inspector, administrator';
    END IF;
    IF p_person IS NOT NULL THEN
        SELECT * INTO v_person FROM people WHERE branch_id = p_branch AND code = p_person;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no person "%"', p_person;
        ELSIF v_person.retired_at IS NOT NULL THEN
            RAISE EXCEPTION '% is retired', p_person;
        END IF;
    END IF;
    INSERT INTO accounts (branch_id, name, role, person_id, password_hash)
        VALUES (p_branch, p_name, p_role, v_person.person_id, p_password_hash) ON CONFLICT (name) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'user "%" exists already', p_name USING HINT = 'change the password with: ringback user password';
    END IF;
    PERFORM write_audit(p_branch, p_actor, 'user-add', p_name, jsonb_strip_nulls(jsonb_build_object('role', p_role,
        'person', p_person)));
END $$;
COMMENT ON FUNCTION add_account(integer, text, text, text, text, text) IS 'Who may log in; refused when the name exists.';

CREATE OR REPLACE FUNCTION change_account(p_branch integer, p_name text, p_password_hash text, p_disable boolean, p_actor text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_account integer;
BEGIN
    DELETE FROM login_failures WHERE kind = 'account' AND key_hash = sha256(convert_to(p_name, 'UTF8'));
    UPDATE accounts SET password_hash = coalesce(p_password_hash, password_hash),
                        disabled_at = CASE WHEN p_disable THEN coalesce(disabled_at, now()) END
        WHERE branch_id = p_branch AND name = p_name RETURNING account_id INTO v_account;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no user "%"', p_name;
    END IF;
    PERFORM end_account_sessions(p_branch, v_account);
    PERFORM write_audit(p_branch, p_actor, CASE WHEN p_disable THEN 'user-disable' ELSE 'user-password' END, p_name);
END $$;
COMMENT ON FUNCTION change_account(integer, text, text, boolean, text) IS 'A new password, which lets him in again, or none any more; either way he is logged out everywhere.';

CREATE OR REPLACE FUNCTION retire_person(p_branch integer, p_code text, p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_person integer;
    v_retailers bigint;
BEGIN
    UPDATE people SET retired_at = now() WHERE branch_id = p_branch AND code = p_code AND retired_at IS NULL
        RETURNING person_id INTO v_person;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no active person "%"', p_code;
    END IF;
    SELECT count(*) INTO v_retailers FROM retailers
        WHERE branch_id = p_branch AND manager_id = v_person AND retired_at IS NULL;
    IF v_retailers > 0 THEN
        RAISE EXCEPTION '% is the account manager of % retailers', p_code, v_retailers USING HINT = 'give them to another one first';
    END IF;
    UPDATE accounts SET disabled_at = now() WHERE branch_id = p_branch AND person_id = v_person AND disabled_at IS NULL;
    PERFORM write_audit(p_branch, p_actor, 'person-retire', p_code);
END $$;
COMMENT ON FUNCTION retire_person(integer, text, text) IS
    'Somebody who no longer works here: he logs in no more, and what is meant for him goes up the line.';

CREATE OR REPLACE FUNCTION retire_retailer(p_branch integer, p_code text, p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_retailer retailers;
BEGIN
    UPDATE retailers SET retired_at = now(), changed_at = now()
        WHERE branch_id = p_branch AND code = p_code AND retired_at IS NULL RETURNING * INTO v_retailer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no active retailer "%"', p_code;
    END IF;
    INSERT INTO retailer_changes (branch_id, retailer_id, changed_by, old_values, new_values)
        VALUES (p_branch, v_retailer.retailer_id, p_actor, '{"retired_at": null}',
                jsonb_build_object('retired_at', v_retailer.retired_at));
    PERFORM write_audit(p_branch, p_actor, 'retailer-retire', p_code);
END $$;
COMMENT ON FUNCTION retire_retailer(integer, text, text) IS 'A shop that is closed: no more orders, its history stays.';

CREATE OR REPLACE FUNCTION retire_product(p_branch integer, p_code text, p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE products SET retired_at = now() WHERE branch_id = p_branch AND code = p_code AND retired_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no active product "%"', p_code;
    END IF;
    PERFORM write_audit(p_branch, p_actor, 'product-retire', p_code);
END $$;
COMMENT ON FUNCTION retire_product(integer, text, text) IS 'Sold no more; its orders stay.';
