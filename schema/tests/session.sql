-- Log-in: failures counted by account and by address, sessions made and ended. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE t AS SELECT add_branch('TAP-SESSION', 'x') AS branch;
INSERT INTO people (branch_id, code, name, role) SELECT branch, c, c, r FROM t, (VALUES ('s', 'supervisor'), ('o', 'operator')) x (c, r);
SELECT add_account(branch, 'tap-anna', 'operator', 'o', 'hash', 'tap') FROM t;
SELECT add_account(branch, 'tap-gone', 'operator', NULL, 'hash', 'tap') FROM t;
CREATE FUNCTION pg_temp.try(p_name text, p_address text, p_matches boolean, p_token text DEFAULT 'x') RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN account_wait + address_wait > 0 THEN 'wait' ELSE coalesce(account || ' ' || role || ' ' || coalesce(person, '-'), 'wrong') END
    FROM log_in_end(p_name, p_address, p_matches, 'hash', NULL, sha256(p_token::bytea), 'browser') $$;

SELECT is(login_wait('account', n), w, format('an account waits %s after %s failures', w, n)) FROM (VALUES (4, NULL::interval),
    (5, '1 second'), (6, '2 seconds'), (7, '4 seconds'), (13, '256 seconds'), (14, '5 minutes'), (1000000, '5 minutes')) x (n, w);
SELECT is(login_wait('address', n), w, format('an address waits %s after %s', w, n))
    FROM (VALUES (49, NULL::interval), (50, '1 second')) x (n, w);

SELECT is(pg_temp.try('tap-anna', '10.0.0.1', true, 'a'), 'tap-anna operator o', 'the right password is a session');
SELECT is((SELECT row(address, agent, ends_at = now() + interval '24 hours')::text FROM sessions WHERE token_hash = sha256('a')),
          '(10.0.0.1,browser,t)', 'with its absolute end');
SELECT is(pg_temp.try('tap-anna', '10.0.0.1', false), 'wrong', 'a wrong one is none') FROM generate_series(1, 4);
SELECT is(pg_temp.try('tap-anna', '10.0.0.1', true, 'b'), 'tap-anna operator o', 'four failures are free');
SELECT is(pg_temp.try('tap-anna', '10.0.0.1', false), 'wrong', 'and forgotten with a success') FROM generate_series(1, 5);
SELECT is(pg_temp.try('tap-anna', '10.0.0.1', false), 'wait', 'after five nothing is looked at');
SELECT is(pg_temp.try('tap-anna', '10.9.9.9', true, 'c'), 'wait', 'not the right password either, from wherever');
SELECT ok((SELECT account_wait = 1 AND address_wait = 0 AND password_hash IS NULL FROM log_in_look('tap-anna', '10.9.9.9')), 'nor is its hash given');
SELECT is((SELECT failures FROM login_failures, login_keys('tap-anna', '10.0.0.1') k WHERE key_hash = k.account), 5,
          'tries that are not looked at do not count');
UPDATE login_failures SET blocked_until = clock_timestamp() - interval '1 second';
SELECT is(pg_temp.try('tap-anna', '10.0.0.1', true, 'd'), 'tap-anna operator o', 'after the wait it is');
SELECT is((SELECT failures FROM login_failures, login_keys('tap-anna', '10.0.0.1') k WHERE key_hash = k.address), 9,
          'the address''s failures stay');
UPDATE login_failures SET failed_at = failed_at - interval '61 minutes';
SELECT is(pg_temp.try('tap-anna', '10.0.0.1', false), 'wrong', 'after an hour');
SELECT is((SELECT failures FROM login_failures, login_keys('tap-anna', '10.0.0.1') k WHERE key_hash = k.address), 1, 'they begin anew');

SELECT is(pg_temp.try('tap-nobody', '10.0.0.2', false), 'wrong', 'a name that nobody has') FROM generate_series(1, 5);
SELECT is(pg_temp.try('tap-nobody', '10.0.0.2', false), 'wait', 'is throttled like one that somebody has');
SELECT is(pg_temp.try('tap-many-' || n, '10.0.0.3', false), 'wrong', NULL) FROM generate_series(1, 50) n;
SELECT is(pg_temp.try('tap-anna', '10.0.0.3', true, 'e'), 'wait', 'fifty failures close an address, whatever the names');

SELECT is((SELECT k.address FROM login_keys('x', '2001:db8:1:2::1') k), (SELECT k.address FROM login_keys('x', '2001:db8:1:2:ffff::9') k),
          'an address of IPv6 is its /64');
SELECT isnt((SELECT k.address FROM login_keys('x', '2001:db8:1:2::1') k), (SELECT k.address FROM login_keys('x', '2001:db8:1:3::1') k),
            'and another one another');
SELECT is((SELECT k.address FROM login_keys('x', '::ffff:10.0.0.1') k), (SELECT k.address FROM login_keys('x', '10.0.0.1') k),
          'IPv4 in IPv6 is IPv4');
SELECT isnt((SELECT k.address FROM login_keys('x', '10.0.0.2') k), (SELECT k.address FROM login_keys('x', '10.0.0.1') k),
            'each of IPv4 its own');

SELECT change_account(branch, 'tap-gone', NULL, true, 'tap') FROM t;
SELECT is((SELECT password_hash FROM log_in_look('tap-gone', '10.0.0.4')), NULL, 'a disabled account has no hash to check');
SELECT is(pg_temp.try('tap-gone', '10.0.0.4', true), 'wrong', 'nor a session, when it was disabled meanwhile');
SELECT is((SELECT count(*) FROM audit_log, t WHERE branch_id = branch AND action = 'log-in-failed' AND subject = 'tap-anna'), 10::bigint,
          'each of the first failures is in the audit log');
SELECT note_login_failure(a, '10.0.0.9', n) FROM accounts a, generate_series(6, 1000) n WHERE a.name = 'tap-anna';
SELECT is((SELECT array_agg(details ->> 'failures' ORDER BY at, audit_id) FROM audit_log WHERE details ->> 'address' = '10.0.0.9'),
          '{8,16,32,64,128,256,512}', 'of many more only few');

SELECT change_account(branch, 'tap-anna', 'new hash', false, 'tap') FROM t;
SELECT is((SELECT count(*) FROM sessions s JOIN accounts a USING (branch_id, account_id) WHERE a.name = 'tap-anna' AND ended_at IS NULL),
          0::bigint, 'a new password by the administrator ends every session');
SELECT is((SELECT account_wait FROM log_in_look('tap-anna', '10.0.0.5')), 0, 'and forgets the account''s failures');

SELECT throws_ok(format('SELECT set_branch_sessions(%s, %L, NULL, ''tap'')', branch, v), 'P0001', NULL, v || ' is refused')
    FROM t, unnest('{soon,10 seconds,-1 hours,1 year}'::text[]) v;
SELECT set_branch_sessions(branch, '30 minutes', NULL, 'tap') FROM t;
SELECT is((SELECT row(session_idle, session_whole)::text FROM branches, t WHERE branch_id = branch), '(00:30:00,24:00:00)', 'idle time is set');
SELECT throws_ok(format('SELECT set_person_reports(%s, ''o'', ''on'', ''tap'')', branch), 'P0001', 'o is no supervisor',
                 'an operator is not named for reports') FROM t;
SELECT set_person_reports(branch, 's', 'on', 'tap') FROM t;
SELECT ok((SELECT sees_reports FROM people, t WHERE branch_id = branch AND code = 's'), 'a supervisor is');

INSERT INTO sessions (branch_id, account_id, token_hash, ends_at, address)
    SELECT branch_id, account_id, sha256('old'), now() - interval '8 days', '-' FROM accounts WHERE name = 'tap-anna';
SELECT is(tidy_sessions(), 1, 'old sessions are tidied away');
SELECT is_empty('SELECT FROM sessions WHERE token_hash = sha256(''old'')', 'and no others');
SELECT is_empty('SELECT FROM login_failures WHERE failed_at < now() - interval ''1 hour''', 'and failures that count no more');

SET LOCAL ROLE ringback_console;
SELECT throws_ok('SELECT * FROM accounts', '42501', NULL, 'the console reads no password hashes');
SELECT throws_ok('SELECT * FROM login_failures', '42501', NULL, 'nor failures');
SELECT throws_ok('SELECT enter_quietly(''\x'')', '42501', NULL, 'nor takes a session by another way');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
