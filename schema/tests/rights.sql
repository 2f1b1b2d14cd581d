-- Who may do what: the daemon's role reads, and writes through functions alone; history stays whoever asks; everything explains
-- itself. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

SELECT is_empty($$
    SELECT c.relname, p.privilege FROM pg_class c
    CROSS JOIN unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p (privilege)
    WHERE c.relnamespace = 'ringback'::regnamespace AND c.relkind IN ('r', 'p')
      AND has_table_privilege('ringback_app', c.oid, p.privilege)
    $$, 'the application changes no table');
SELECT is_empty($$
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'ringback'::regnamespace
      AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege('ringback_app', c.oid, 'USAGE,UPDATE') END
    $$, 'the application takes no numbers from sequences');
SELECT is_empty($$
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'ringback'::regnamespace AND c.relkind IN ('r', 'p')
      AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0)
    $$, 'nothing is open to everybody');
SELECT ok(NOT has_table_privilege('ringback_app', 'ringback.accounts', 'SELECT'), 'the application reads no password hashes');
SELECT ok(NOT has_schema_privilege('ringback_app', 'ringback', 'CREATE'), 'the application makes nothing in the schema');
SELECT is((SELECT count(*) FROM pg_roles WHERE rolname IN ('ringback_owner', 'ringback_app')
           AND NOT rolsuper AND NOT rolcanlogin AND NOT rolbypassrls AND NOT rolcreaterole), 2::bigint,
          'both roles are plain ones without a log-in');
SELECT ok(NOT pg_has_role('ringback_app', 'ringback_owner', 'MEMBER'), 'the application is no owner');

SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'ringback'::regnamespace
      AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
    $$, 'no function is open to everybody');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'ringback'::regnamespace AND p.prosecdef
      AND NOT 'search_path=ringback, pg_temp' = ANY (coalesce(p.proconfig, '{}'))
    $$, 'what runs with the owner''s rights finds names in the schema only');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'ringback'::regnamespace
      AND p.proname ~ '^(add_|make_branch|set_branch|retire_|change_|import_|first_branch|write_audit)'
      AND has_function_privilege('ringback_app', p.oid, 'EXECUTE')
    $$, 'the application administers nothing');

SELECT is_empty($$
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'ringback'::regnamespace AND c.relkind IN ('r', 'p')
      AND NOT c.relispartition AND obj_description(c.oid, 'pg_class') IS NULL
    $$, 'every table says what it is');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'ringback'::regnamespace
      AND obj_description(p.oid, 'pg_proc') IS NULL
    $$, 'every function says what it does');
SELECT is_empty($$
    SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'ringback'::regnamespace AND c.relkind IN ('r', 'p')
      AND c.relname NOT IN ('migrations', 'login_failures') AND NOT EXISTS (SELECT FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attname = 'branch_id' AND a.attnotnull)
    $$, 'every row belongs to a branch');
SELECT is_empty($$
    SELECT c.conrelid::regclass, c.conname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
    WHERE t.relnamespace = 'ringback'::regnamespace AND c.contype = 'p' AND t.relname NOT IN ('migrations', 'branches', 'login_failures')
      AND NOT EXISTS (SELECT FROM pg_attribute a
        WHERE a.attrelid = t.oid AND a.attname = 'branch_id' AND a.attnum = c.conkey[1])
    $$, 'every key begins with the branch');

-- History: neither the owner nor a superuser removes it without taking a trigger away first.
SELECT throws_ok(format('DELETE FROM %I', t), '42501', NULL, format('no row of %s is removed', t))
FROM (VALUES ('branches'), ('policies'), ('policy_steps')) x (t);
SELECT throws_ok(format('TRUNCATE %I CASCADE', t), '42501', NULL, format('%s is not emptied', t))
FROM unnest('{people,retailers,retailer_changes,products,gateways,events,event_bodies,calls,orders,order_lines,complaints,follow_ups,'
            'follow_up_history,follow_up_steps,targets,notifications,notification_attempts,accounts,audit_log}'::text[]) t;
SELECT is_empty($$
    SELECT t, e FROM unnest('{branches,people,retailers,retailer_changes,products,order_cycles,gateways,sources,events,event_bodies,calls,'
        'orders,order_lines,complaints,policies,policy_steps,follow_ups,follow_up_history,follow_up_steps,targets,notifications,'
        'notification_attempts,accounts,audit_log,calendars,calendar_hours,calendar_days,work_spans,missed_calls,'
        'departments,follow_up_requests,return_visits,tasks}'::text[]) t
    CROSS JOIN (VALUES ('delete', 8), ('truncate', 32)) e (e, bit)
    WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t::regclass AND g.tgenabled = 'O' AND g.tgtype & e.bit <> 0
        AND g.tgfoid = 'refuse_removal'::regproc)
    $$, 'every table of history has its guards');
SELECT is_empty($$
    SELECT t FROM unnest('{retailer_changes,events,event_bodies,follow_up_history,notification_attempts,audit_log,calendar_hours,calendar_days,'
        'work_spans,return_visits}'::text[]) t
    WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t::regclass AND g.tgtype & 16 <> 0
        AND g.tgfoid = 'refuse_change'::regproc)
    $$, 'what only grows is not rewritten');
SELECT write_audit(branch_id, 'test', 'test', 'test') FROM branches;
SELECT throws_ok('UPDATE audit_log SET actor = ''somebody else''', '42501', NULL, 'the audit log is not rewritten');
SELECT throws_ok('DELETE FROM audit_log', '42501', NULL, 'nor shortened');

SET LOCAL ROLE ringback_app;
SELECT throws_ok('INSERT INTO audit_log (branch_id, actor, action, subject) VALUES (1, ''x'', ''x'', ''x'')', '42501', NULL,
                 'the application writes no audit row of its own');
SELECT throws_ok('INSERT INTO events (branch_id, source_id, event_id, content_hash, answer) VALUES (1, 1, ''x'', ''\x00'', '''')',
                 '42501', NULL, 'nor an event');
SELECT throws_ok('SELECT password_hash FROM accounts', '42501', NULL, 'nor reads a password');
SELECT throws_ok('SELECT add_gateway(1, ''x'', ''\x00'', ''x'')', '42501', NULL, 'nor adds a gateway');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
