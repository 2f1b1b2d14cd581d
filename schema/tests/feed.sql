-- The feed: what writes it, reading it by place, and what is tidied away. Undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-FEED', 'x'));
INSERT INTO people (branch_id, code, name, role, reports_to_id)
    SELECT pg_temp.id('branch'), c, c, r, NULL FROM (VALUES ('am', 'account_manager'), ('am2', 'account_manager'), ('op', 'operator')) x (c, r);
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO person_phones (branch_id, person_id, phone) SELECT pg_temp.id('branch'), pg_temp.id(w), n
    FROM (VALUES ('op', '+8615400000031'), ('am', '+8615400000099'), ('am2', '+8615400000099')) x (w, n);
INSERT INTO retailers (branch_id, code, name, manager_id) VALUES (pg_temp.id('branch'), 'r', 'x', pg_temp.id('am'));
INSERT INTO ids SELECT 'r', retailer_id FROM retailers WHERE branch_id = pg_temp.id('branch');
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-feed', '\x00');
INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at, retailer_id)
    SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), k, 'x', g.gateway_id, now(), pg_temp.id('r')
    FROM branches b JOIN gateways g USING (branch_id) CROSS JOIN unnest('{complaint,report}'::text[]) k WHERE branch_id = pg_temp.id('branch');
INSERT INTO follow_ups (branch_id, complaint, kind, owner_id, policy_id, raised_at, due_at, retailer_id)
    SELECT c.branch_id, c.reference, c.kind, pg_temp.id('am'), p.policy_id, now(), now() + interval '1 day', c.retailer_id
    FROM complaints c JOIN policies p USING (branch_id) WHERE branch_id = pg_temp.id('branch') ORDER BY c.kind;
INSERT INTO ids SELECT kind, follow_up_id FROM follow_ups WHERE branch_id = pg_temp.id('branch');

-- This transaction has not ended, so nothing of it may be read: what follows is read as of the next one's beginning.
CREATE FUNCTION pg_temp.written() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT topic || ' ' || coalesce((SELECT name FROM ids WHERE topic = 'follow-up' AND name IN ('complaint', 'report') AND id::text = subject), subject)
        || coalesce(' was ' || (SELECT name FROM ids WHERE name LIKE 'am%' AND id = person_id), '')
    FROM feed WHERE branch_id = pg_temp.id('branch') ORDER BY feed_id $$;
SELECT results_eq('SELECT pg_temp.written()', ARRAY['follow-up complaint', 'follow-up report'], 'new follow-ups are written');
SELECT ok((SELECT bool_and(xid = pg_current_xact_id()) FROM feed WHERE branch_id = pg_temp.id('branch')), 'under their transaction');
SELECT is((SELECT count(*) FROM read_feed(pg_temp.id('branch'), '0-0', 100) WHERE topic IS NOT NULL), 0::bigint,
          'nothing is read of a transaction that has not ended');
DELETE FROM feed;
UPDATE follow_ups SET severity = 1 WHERE branch_id = pg_temp.id('branch') AND kind = 'complaint';
UPDATE follow_ups SET owner_id = pg_temp.id('am2') WHERE branch_id = pg_temp.id('branch');
UPDATE follow_ups SET severity = 1 WHERE branch_id = -1;
SELECT results_eq('SELECT pg_temp.written()', ARRAY['follow-up complaint', 'follow-up complaint was am', 'follow-up report was am'],
                  'changes are, with the owner before');

-- A call is written once a batch, whatever the number of its events.
DELETE FROM feed;
SELECT FROM take_calls('{3}', array_fill(pg_temp.id('branch'), ARRAY[4]), array_fill((SELECT gateway_id FROM gateways WHERE name = 'tap-feed'), ARRAY[4]),
    '{NULL,NULL,NULL,NULL}', '{a,b,c,d}', '{1,2,3,4}', '{x,x,skipped,y}', '{1,2,1,1}', '{inbound,inbound,inbound,outbound}', '{1,1,1,2}', '{2,2,2,1}',
    '{NULL,NULL,NULL,+8615400000099}', '{+8615400000031,+8615400000031,NULL,NULL}', '{NULL,NULL,NULL,NULL}', '{NULL,NULL,NULL,NULL}',
    '{NULL,NULL,NULL,NULL}');
SELECT results_eq('SELECT * FROM pg_temp.written() AS w ORDER BY w', ARRAY['call x', 'call y'], 'calls are written once a batch');

INSERT INTO accounts (branch_id, name, role, person_id, password_hash) VALUES (pg_temp.id('branch'), 'tap-feed', 'account_manager', pg_temp.id('am'), 'x');
INSERT INTO sessions (branch_id, account_id, token_hash, ends_at, address)
    SELECT branch_id, account_id, sha256(s::bytea), now() + interval '1 day', '::1' FROM accounts, unnest('{a,b}'::text[]) s WHERE name = 'tap-feed';
INSERT INTO ids SELECT CASE token_hash WHEN sha256('a') THEN 'session a' ELSE 'session b' END, session_id FROM sessions WHERE branch_id = pg_temp.id('branch');
DELETE FROM feed;
UPDATE sessions SET seen_at = now() WHERE branch_id = pg_temp.id('branch');
UPDATE sessions SET ended_at = now() WHERE session_id = pg_temp.id('session a');
UPDATE sessions SET ended_at = now() WHERE session_id = pg_temp.id('session a');
SELECT results_eq('SELECT pg_temp.written()', ARRAY['session ' || pg_temp.id('session a')], 'a session is written when it ends');

SELECT is((SELECT array_agg(sight IS NULL) FROM sights(array_fill(pg_temp.id('branch'), ARRAY[3]),
              ARRAY[pg_temp.id('session a'), pg_temp.id('session b'), -1])), '{t,f,t}', 'a session that has ended, or is none, has no sight');
SELECT is((SELECT sight::jsonb FROM sights(ARRAY[pg_temp.id('branch')], ARRAY[pg_temp.id('session b')])),
          jsonb_build_object('branch', pg_temp.id('branch'), 'account', (SELECT account_id FROM accounts WHERE name = 'tap-feed'),
              'person', pg_temp.id('am'), 'everything', false, 'retailers', false, 'reports', false, 'through_retailers', true,
              'area', NULL, 'managers', jsonb_build_array(pg_temp.id('am'))), 'an account manager''s sight');
UPDATE accounts SET disabled_at = now() WHERE name = 'tap-feed';
SELECT is((SELECT sight FROM sights(ARRAY[pg_temp.id('branch')], ARRAY[pg_temp.id('session b')])), NULL, 'who is disabled sees nothing');

-- As if it had all ended long ago: transactions 10 to 12.
DELETE FROM feed;
INSERT INTO feed (branch_id, xid, at, topic, subject, person_id) OVERRIDING SYSTEM VALUE VALUES
    (pg_temp.id('branch'), '11', now() - interval '61 minutes', 'follow-up', pg_temp.id('complaint'), pg_temp.id('am')),
    (pg_temp.id('branch'), '10', now() - interval '59 minutes', 'call', 'y', NULL),
    (pg_temp.id('branch'), '12', now(), 'follow-up', pg_temp.id('complaint'), NULL),
    (pg_temp.id('branch'), '12', now(), 'follow-up', pg_temp.id('report'), NULL);
CREATE FUNCTION pg_temp.reading(p_place text, p_most integer) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT coalesce(topic || ' ' || coalesce((SELECT name FROM ids WHERE topic = 'follow-up' AND name IN ('complaint', 'report') AND id::text = subject), subject)
        || CASE WHEN people = ARRAY[pg_temp.id('am')]::text THEN ' was am' ELSE '' END,
        'then ' || CASE WHEN more THEN split_part(place, '-', 1) WHEN place = feed_end() THEN 'the end' END || CASE WHEN lost THEN ' lost' ELSE '' END)
    FROM read_feed(pg_temp.id('branch'), p_place, p_most) $$;
SELECT results_eq($$SELECT pg_temp.reading('0-0', 100)$$, ARRAY['call y', 'follow-up complaint was am', 'follow-up report', 'then the end'],
                  'in the order of transactions; a subject once, where it is last');
SELECT results_eq($$SELECT pg_temp.reading('0-0', 2)$$, ARRAY['call y', 'follow-up complaint was am', 'then 11'], 'a part at a time');
SELECT results_eq($$SELECT pg_temp.reading('11-9223372036854775807', 100)$$, ARRAY['follow-up complaint', 'follow-up report', 'then the end'], 'behind a place');
SELECT results_eq($$SELECT pg_temp.reading(feed_end(), 100)$$, ARRAY['then the end'], 'at the end there is nothing');
SELECT results_eq($$SELECT pg_temp.reading('99999999999-0', 100)$$, ARRAY['then the end lost'], 'a place that is not there yet is of another database');
SELECT is((SELECT array_agg(row(owner_id = pg_temp.id('am2'), manager_id = pg_temp.id('am'), area_id, has_retailer, report)::text ORDER BY report)
           FROM read_feed(NULL, '11-9223372036854775807', 100) WHERE topic = 'follow-up' AND branch_id = pg_temp.id('branch')),
          ARRAY['(t,t,,t,f)', '(t,t,,t,t)'], 'with whose it is by now');
SELECT is((SELECT body::jsonb - 'complaint' - 'due_at' FROM read_feed(pg_temp.id('branch'), '11-9223372036854775807', 100) LIMIT 1),
          jsonb_build_object('id', pg_temp.id('complaint'), 'kind', 'complaint', 'state', 'open', 'owner', 'am2', 'retailer', 'r', 'proof', NULL,
                             'revision', 3), 'and what is true of it');
SELECT is((SELECT body::jsonb FROM read_feed(pg_temp.id('branch'), '0-0', 1) LIMIT 1),
          '{"id": "y", "state": "ringing", "direction": "outbound", "retailer": null, "operator": null}', 'a number of two people is nobody''s desk');
DELETE FROM feed WHERE topic = 'call';
INSERT INTO feed (branch_id, xid, topic, subject) VALUES (pg_temp.id('branch'), '10', 'call', 'x');
SELECT is((SELECT body::jsonb ->> 'operator' FROM read_feed(pg_temp.id('branch'), '0-0', 1) LIMIT 1), 'op', 'that of one is his');

SELECT is(forget_feed(100), 1, 'what is older than an hour is tidied away');
SELECT results_eq($$SELECT pg_temp.reading('10-0', 100)$$, ARRAY['then the end lost'], 'who has not read it has a gap');
SELECT results_eq($$SELECT pg_temp.reading('12-0', 100)$$, ARRAY['follow-up complaint', 'follow-up report', 'then the end'], 'others have not');
SELECT is(forget_feed(100), 0, 'what is younger stays');

SELECT ok(NOT has_table_privilege('ringback_app', 'ringback.feed', 'SELECT') AND NOT has_table_privilege('ringback_console', 'ringback.feed', 'SELECT'),
          'the feed is read by its function alone');
SELECT ok(NOT has_function_privilege('ringback_console', 'ringback.read_feed(integer,text,integer)', 'EXECUTE'), 'and not by the console');

SELECT * FROM finish();
ROLLBACK;
