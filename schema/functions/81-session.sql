-- Log-in, and what one may do with one's own sessions. The daemon checks the password; these functions say which hash it is
-- checked against, count failures and make sessions.
--
-- Lock order: login_failures of the account, login_failures of the address, accounts, sessions.

DROP FUNCTION IF EXISTS login_blocked(text, text);
DROP FUNCTION IF EXISTS log_in_look(text, text);
DROP FUNCTION IF EXISTS log_in_end(text, text, boolean, text, text, bytea, text);

CREATE OR REPLACE FUNCTION login_keys(p_name text, p_address text, OUT account bytea, OUT address bytea)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_address inet := p_address::inet;
BEGIN
    IF v_address <<= '::ffff:0:0/96'::inet THEN
        v_address := regexp_replace(host(v_address), '^.*:', '')::inet;
    ELSIF family(v_address) = 6 THEN
        v_address := network(set_masklen(v_address, 64));
    END IF;
    account := sha256(convert_to(p_name, 'UTF8'));
    address := sha256(convert_to(v_address::text, 'UTF8'));
END $$;
COMMENT ON FUNCTION login_keys(text, text) IS 'The keys under which failures of this name and address are counted.';

-- After the free ones each failure doubles the wait, up to five minutes; after an hour without any all is forgotten. An
-- address stands for a whole branch behind one router, so it has more.
CREATE OR REPLACE FUNCTION login_wait(p_kind text, p_failures integer) RETURNS interval
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_failures >= x.free THEN least(interval '1 second' * 2 ^ least(p_failures - x.free, 9), interval '5 minutes') END
    FROM (SELECT CASE p_kind WHEN 'account' THEN 5 ELSE 50 END AS free) x
$$;
COMMENT ON FUNCTION login_wait(text, integer) IS 'How long no try is looked at after so many failures; null: not at all.';

CREATE OR REPLACE FUNCTION login_blocked(p_name text, p_address text, OUT account_wait integer, OUT address_wait integer)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(x.seconds) FILTER (WHERE x.kind = 'account'), 0), coalesce(max(x.seconds) FILTER (WHERE x.kind = 'address'), 0)
    FROM (SELECT f.kind, ceil(extract(epoch FROM f.blocked_until - clock_timestamp()))::integer AS seconds
          FROM login_keys(p_name, p_address) k
          JOIN login_failures f ON (f.kind, f.key_hash) IN (('account', k.account), ('address', k.address))
          WHERE f.blocked_until > clock_timestamp()) x
$$;
COMMENT ON FUNCTION login_blocked(text, text) IS 'Seconds until a try with this name, and from this address, is looked at; 0: now.';

CREATE OR REPLACE FUNCTION log_in_look(p_name text, p_address text, OUT password_hash text, OUT account_wait integer,
                                       OUT address_wait integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
BEGIN
    SELECT * INTO account_wait, address_wait FROM login_blocked(p_name, p_address);
    IF account_wait = 0 AND address_wait = 0 THEN
        SELECT a.password_hash INTO password_hash FROM accounts a
            LEFT JOIN people p ON p.branch_id = a.branch_id AND p.person_id = a.person_id
            WHERE a.name = p_name AND a.disabled_at IS NULL AND p.retired_at IS NULL;
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION log_in_look TO ringback_console;
COMMENT ON FUNCTION log_in_look(text, text) IS
    'The hash that a try''s password is checked against (null: nobody may log in by this name), or how long nothing is looked at.';

CREATE OR REPLACE FUNCTION count_login_failure(p_kind text, p_key bytea) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    v_failures integer;
BEGIN
    INSERT INTO login_failures AS f (kind, key_hash, failures, failed_at)
        VALUES (p_kind, p_key, 1, clock_timestamp())
        ON CONFLICT (kind, key_hash) DO UPDATE SET failed_at = clock_timestamp(),
            failures = CASE WHEN f.failed_at < clock_timestamp() - interval '1 hour' THEN 1 ELSE f.failures + 1 END
        RETURNING failures INTO v_failures;
    UPDATE login_failures SET blocked_until = clock_timestamp() + login_wait(p_kind, v_failures)
        WHERE kind = p_kind AND key_hash = p_key;
    RETURN v_failures;
END $$;
COMMENT ON FUNCTION count_login_failure(text, bytea) IS 'One more failure; gives how many there were in a row.';

-- Under attack not every failure is a row of the audit log: the first five, then each that doubles their number.
CREATE OR REPLACE FUNCTION note_login_failure(p_account accounts, p_address text, p_failures integer) RETURNS void
LANGUAGE sql AS $$
    SELECT write_audit(p_account.branch_id, p_account.name, 'log-in-failed', p_account.name,
                       jsonb_build_object('address', p_address, 'failures', p_failures))
    WHERE p_account.account_id IS NOT NULL AND (p_failures <= 5 OR p_failures & (p_failures - 1) = 0)
$$;
COMMENT ON FUNCTION note_login_failure(accounts, text, integer) IS 'A failed log-in in the audit log of the account''s branch, if it has one.';

-- A burst of tries that were all looked at before the first of them failed is refused here: a right password among them too.
CREATE OR REPLACE FUNCTION log_in_end(p_name text, p_address text, p_matches boolean, p_hash text, p_fresh text,
                                      p_token_hash bytea, p_agent text,
                                      OUT account_wait integer, OUT address_wait integer, OUT account text, OUT role text,
                                      OUT person text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    k record;
    v_account accounts;
BEGIN
    k := login_keys(p_name, p_address);
    PERFORM FROM login_failures WHERE kind = 'account' AND key_hash = k.account FOR UPDATE;
    PERFORM FROM login_failures WHERE kind = 'address' AND key_hash = k.address FOR UPDATE;
    SELECT * INTO account_wait, address_wait FROM login_blocked(p_name, p_address);
    IF account_wait > 0 OR address_wait > 0 THEN
        RETURN;
    END IF;
    SELECT * INTO v_account FROM accounts a WHERE a.name = p_name FOR NO KEY UPDATE;
    IF NOT p_matches OR v_account.disabled_at IS NOT NULL OR v_account.password_hash IS DISTINCT FROM p_hash THEN
        PERFORM note_login_failure(v_account, p_address, count_login_failure('account', k.account));
        PERFORM count_login_failure('address', k.address);
        RETURN;
    END IF;
    DELETE FROM login_failures WHERE kind = 'account' AND key_hash = k.account;
    IF p_fresh IS NOT NULL THEN
        UPDATE accounts a SET password_hash = p_fresh WHERE a.branch_id = v_account.branch_id AND a.account_id = v_account.account_id;
    END IF;
    INSERT INTO sessions (branch_id, account_id, token_hash, ends_at, address, agent)
        SELECT b.branch_id, v_account.account_id, p_token_hash, now() + b.session_whole, p_address, p_agent
        FROM branches b WHERE b.branch_id = v_account.branch_id;
    PERFORM write_audit(v_account.branch_id, p_name, 'log-in', p_name, jsonb_build_object('address', p_address));
    account := v_account.name;
    role := v_account.role;
    SELECT p.code INTO person FROM people p WHERE p.branch_id = v_account.branch_id AND p.person_id = v_account.person_id;
END $$;
GRANT EXECUTE ON FUNCTION log_in_end TO ringback_console;
COMMENT ON FUNCTION log_in_end(text, text, boolean, text, text, bytea, text) IS
    'A try whose password was checked: counts the failure, or makes a session (account is then not null).';

-- What somebody does with his own session.

CREATE OR REPLACE FUNCTION asker_session() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('ringback.session', true), '')::bigint $$;
GRANT EXECUTE ON FUNCTION asker_session TO ringback_console;
COMMENT ON FUNCTION asker_session() IS 'The session by which somebody asks.';

CREATE OR REPLACE FUNCTION api_get_session(p jsonb) RETURNS answer LANGUAGE sql STABLE AS $$
    SELECT answer_json(json_build_object('name', asker_actor(), 'role', asker_role(),
        'person', (SELECT code FROM people WHERE branch_id = asker_branch() AND person_id = asker_person()), 'csrf', p ->> 'csrf'))
$$;
GRANT EXECUTE ON FUNCTION api_get_session TO ringback_console;
COMMENT ON FUNCTION api_get_session(jsonb) IS 'Who one is.';

CREATE OR REPLACE FUNCTION end_own_sessions(p_session bigint, p_but bigint DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_ended integer;
BEGIN
    UPDATE sessions SET ended_at = now()
        WHERE branch_id = asker_branch() AND account_id = asker_account() AND ended_at IS NULL AND ends_at > now()
          AND (p_session IS NULL OR session_id = p_session) AND session_id IS DISTINCT FROM p_but;
    GET DIAGNOSTICS v_ended = ROW_COUNT;
    IF v_ended > 0 THEN
        PERFORM write_audit(asker_branch(), asker_actor(), 'log-out', asker_actor(), jsonb_build_object('sessions', v_ended));
    END IF;
    RETURN v_ended;
END $$;
GRANT EXECUTE ON FUNCTION end_own_sessions TO ringback_console;
COMMENT ON FUNCTION end_own_sessions(bigint, bigint) IS 'Ends one session of who asks, or all (null) but one; gives how many.';

CREATE OR REPLACE FUNCTION api_log_out(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM end_own_sessions(asker_session());
    RETURN (204, NULL, NULL, NULL, NULL, NULL, NULL)::answer;
END $$;
GRANT EXECUTE ON FUNCTION api_log_out TO ringback_console;
COMMENT ON FUNCTION api_log_out(jsonb) IS 'Ends the session by which it is asked.';

CREATE OR REPLACE FUNCTION own_sessions() RETURNS SETOF sessions
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
    SELECT x.* FROM sessions x JOIN branches b USING (branch_id)
    WHERE x.branch_id = asker_branch() AND x.account_id = asker_account() AND x.ended_at IS NULL AND x.ends_at > now()
      AND x.seen_at + b.session_idle > now()
$$;
GRANT EXECUTE ON FUNCTION own_sessions TO ringback_console;
COMMENT ON FUNCTION own_sessions() IS 'The live sessions of who asks.';

CREATE OR REPLACE FUNCTION api_list_sessions(p jsonb) RETURNS answer LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit integer := asked_limit(p);
    v_after bigint := (asked_cursor(p, 1) ->> 0)::bigint;
    v_answer answer;
BEGIN
    WITH page AS (
        SELECT *, row_number() OVER (ORDER BY session_id DESC) AS n FROM own_sessions()
        WHERE v_after IS NULL OR session_id < v_after ORDER BY session_id DESC LIMIT v_limit + 1)
    SELECT * INTO v_answer FROM answer_json((SELECT json_build_object(
        'items', coalesce(json_agg(json_build_object('id', session_id, 'created_at', created_at, 'seen_at', seen_at,
            'ends_at', ends_at, 'address', address, 'agent', agent, 'current', session_id = asker_session())
            ORDER BY session_id DESC) FILTER (WHERE n <= v_limit), '[]'),
        'next', CASE WHEN count(*) > v_limit THEN cursor_of(jsonb_build_array(min(session_id) FILTER (WHERE n <= v_limit))) END)
        FROM page));
    RETURN v_answer;
END $$;
GRANT EXECUTE ON FUNCTION api_list_sessions TO ringback_console;
COMMENT ON FUNCTION api_list_sessions(jsonb) IS 'One''s live sessions, the latest first.';

CREATE OR REPLACE FUNCTION api_end_session(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
DECLARE
    v_id text := p #>> '{path,id}';
BEGIN
    IF v_id !~ '^[0-9]{1,18}$' OR end_own_sessions(v_id::bigint) = 0 THEN
        PERFORM found_nothing('session');
    END IF;
    RETURN (204, NULL, NULL, NULL, NULL, NULL, NULL)::answer;
END $$;
GRANT EXECUTE ON FUNCTION api_end_session TO ringback_console;
COMMENT ON FUNCTION api_end_session(jsonb) IS 'Ends one of one''s sessions.';

CREATE OR REPLACE FUNCTION api_end_sessions(p jsonb) RETURNS answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM end_own_sessions(NULL);
    RETURN (204, NULL, NULL, NULL, NULL, NULL, NULL)::answer;
END $$;
GRANT EXECUTE ON FUNCTION api_end_sessions TO ringback_console;
COMMENT ON FUNCTION api_end_sessions(jsonb) IS 'Logs out everywhere.';

-- A new password by oneself. The old one is asked for, and a wrong one counts as a failed log-in: whoever found a browser that
-- was left open does not get to guess.

CREATE OR REPLACE FUNCTION enter_quietly(p_token_hash bytea) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter(p_token_hash, ARRAY['operator', 'account_manager', 'market_manager', 'supervisor', 'deliverer', 'inspector',
                                      'administrator']);
    RETURN true;
EXCEPTION WHEN SQLSTATE 'RB401' THEN
    RETURN false;
END $$;
COMMENT ON FUNCTION enter_quietly(bytea) IS 'Who asks, by the hash of his session''s token; false without a live session.';

CREATE OR REPLACE FUNCTION password_look(p_token_hash bytea, p_address text, OUT password_hash text, OUT wait_seconds integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
BEGIN
    IF enter_quietly(p_token_hash) THEN
        SELECT x.password_hash, greatest(x.account_wait, x.address_wait) INTO password_hash, wait_seconds
            FROM log_in_look(asker_actor(), p_address) x;
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION password_look TO ringback_console;
COMMENT ON FUNCTION password_look(bytea, text) IS 'What the old password is checked against; both null: no live session.';

CREATE OR REPLACE FUNCTION password_change(p_token_hash bytea, p_address text, p_matches boolean, p_hash text, p_fresh text,
                                           OUT changed boolean, OUT wait_seconds integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    k record;
    v_account accounts;
BEGIN
    IF NOT enter_quietly(p_token_hash) THEN
        RETURN;
    END IF;
    k := login_keys(asker_actor(), p_address);
    PERFORM FROM login_failures WHERE kind = 'account' AND key_hash = k.account FOR UPDATE;
    PERFORM FROM login_failures WHERE kind = 'address' AND key_hash = k.address FOR UPDATE;
    SELECT greatest(x.account_wait, x.address_wait) INTO wait_seconds FROM login_blocked(asker_actor(), p_address) x;
    changed := false;
    IF wait_seconds > 0 THEN
        RETURN;
    END IF;
    SELECT * INTO STRICT v_account FROM accounts WHERE branch_id = asker_branch() AND account_id = asker_account() FOR NO KEY UPDATE;
    IF NOT p_matches OR v_account.password_hash <> p_hash THEN
        PERFORM note_login_failure(v_account, p_address, count_login_failure('account', k.account));
        PERFORM count_login_failure('address', k.address);
        RETURN;
    END IF;
    changed := true;
    DELETE FROM login_failures WHERE kind = 'account' AND key_hash = k.account;
    UPDATE accounts SET password_hash = p_fresh WHERE branch_id = v_account.branch_id AND account_id = v_account.account_id;
    PERFORM end_own_sessions(NULL, asker_session());
    PERFORM write_audit(asker_branch(), asker_actor(), 'user-password', asker_actor(), jsonb_build_object('address', p_address));
END $$;
GRANT EXECUTE ON FUNCTION password_change TO ringback_console;
COMMENT ON FUNCTION password_change(bytea, text, boolean, text, text) IS
    'Takes the new hash and ends one''s other sessions when the old password matched; changed is null without a live session.';

-- By the administrator.

CREATE OR REPLACE FUNCTION end_account_sessions(p_branch integer, p_account integer) RETURNS void LANGUAGE sql AS $$
    UPDATE sessions SET ended_at = now()
    WHERE branch_id = p_branch AND account_id = p_account AND ended_at IS NULL AND ends_at > now()
$$;
COMMENT ON FUNCTION end_account_sessions(integer, integer) IS 'Whoever is logged in by this account is so no more.';

CREATE OR REPLACE FUNCTION set_branch_sessions(p_branch integer, p_idle text, p_whole text, p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_text text;
BEGIN
    FOREACH v_text IN ARRAY ARRAY[p_idle, p_whole] LOOP
        CONTINUE WHEN v_text IS NULL;
        BEGIN
            IF v_text::interval NOT BETWEEN interval '1 minute' AND interval '30 days' THEN
                RAISE EXCEPTION 'a session lasts from 1 minute to 30 days, not %', v_text;
            END IF;
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION '"%" is no length of time', v_text USING HINT = 'it is written like "90 minutes" or "12 hours"';
        END;
    END LOOP;
    IF p_idle IS NOT NULL OR p_whole IS NOT NULL THEN
        UPDATE branches SET session_idle = coalesce(p_idle::interval, session_idle),
                            session_whole = coalesce(p_whole::interval, session_whole) WHERE branch_id = p_branch;
        PERFORM write_audit(p_branch, p_actor, 'branch-set', (SELECT code FROM branches WHERE branch_id = p_branch),
            jsonb_strip_nulls(jsonb_build_object('session_idle', p_idle, 'session_whole', p_whole)));
    END IF;
END $$;
COMMENT ON FUNCTION set_branch_sessions(integer, text, text, text) IS
    'How long a session may be idle, and last in all; null keeps. Sessions that are there keep their absolute end.';

CREATE OR REPLACE FUNCTION set_person_reports(p_branch integer, p_code text, p_sees text, p_actor text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_person people;
BEGIN
    SELECT * INTO v_person FROM people WHERE branch_id = p_branch AND code = p_code AND retired_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no active person "%"', p_code;
    ELSIF p_sees NOT IN ('on', 'off') THEN
        RAISE EXCEPTION '"%" is neither on nor off', p_sees;
    ELSIF v_person.role <> 'supervisor' THEN
        RAISE EXCEPTION '% is no supervisor', p_code USING HINT = 'inspectors see reports of offences anyway, others never';
    END IF;
    UPDATE people SET sees_reports = p_sees = 'on' WHERE branch_id = p_branch AND person_id = v_person.person_id;
    PERFORM write_audit(p_branch, p_actor, 'person-reports', p_code, jsonb_build_object('sees', p_sees = 'on'));
END $$;
COMMENT ON FUNCTION set_person_reports(integer, text, text, text) IS 'Names a supervisor for reports of offences (on), or no longer (off).';

-- Sessions and failures are no history: the audit log keeps who logged in when.
CREATE OR REPLACE FUNCTION tidy_sessions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
DECLARE
    v_gone integer;
BEGIN
    DELETE FROM sessions WHERE ends_at < now() - interval '7 days' OR ended_at < now() - interval '7 days';
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    DELETE FROM login_failures WHERE failed_at < now() - interval '1 hour';
    RETURN v_gone;
END $$;
GRANT EXECUTE ON FUNCTION tidy_sessions TO ringback_app;
COMMENT ON FUNCTION tidy_sessions() IS 'Removes sessions that ended a week ago, and failures that no longer count; says how many sessions.';
