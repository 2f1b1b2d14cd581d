-- The moves that people make, through the console's one way in: who may, what changes, who is told, what is refused. One
-- transaction, undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS bigint LANGUAGE sql AS $$ SELECT id FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-MOVES', 'x'));
INSERT INTO areas (branch_id, code) SELECT pg_temp.id('branch'), c FROM unnest('{north,south}'::text[]) c;
INSERT INTO people (branch_id, code, name, role, area_id, sees_reports)
    SELECT pg_temp.id('branch'), p.code, p.code, p.role, a.area_id, p.code = 'sup-named'
    FROM (VALUES ('am', 'account_manager', 'north'), ('am-2', 'account_manager', 'south'), ('mm', 'market_manager', 'north'),
                 ('sup', 'supervisor', NULL), ('sup-named', 'supervisor', NULL), ('op', 'operator', NULL), ('insp', 'inspector', NULL),
                 ('del', 'deliverer', NULL), ('gone', 'deliverer', NULL)) p (code, role, area)
    LEFT JOIN areas a ON a.branch_id = pg_temp.id('branch') AND a.code = p.area;
UPDATE people SET reports_to_id = (SELECT person_id FROM people m WHERE m.branch_id = people.branch_id AND m.code = 'mm')
    WHERE branch_id = pg_temp.id('branch') AND code = 'am';
UPDATE people SET retired_at = now() WHERE branch_id = pg_temp.id('branch') AND code = 'gone';
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO accounts (branch_id, name, role, person_id, password_hash)
    SELECT branch_id, code, role, person_id, 'x' FROM people WHERE branch_id = pg_temp.id('branch') AND retired_at IS NULL;
INSERT INTO accounts (branch_id, name, role, password_hash) VALUES (pg_temp.id('branch'), 'admin', 'administrator', 'x'),
    (pg_temp.id('branch'), 'nobody', 'supervisor', 'x');
INSERT INTO sessions (branch_id, account_id, token_hash, ends_at, address)
    SELECT branch_id, account_id, sha256(name::bytea), now() + interval '1 day', '127.0.0.1' FROM accounts;
INSERT INTO retailers (branch_id, code, name, manager_id, area_id)
    SELECT p.branch_id, 'r-' || p.code, 'x', p.person_id, p.area_id FROM people p WHERE branch_id = pg_temp.id('branch') AND role = 'account_manager';
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-moves', '\x00');

-- A follow-up of am, or whoever, raised so long ago, with its ladder.
CREATE FUNCTION pg_temp.raise(p_name text, p_ago interval DEFAULT '0', p_kind text DEFAULT 'complaint', p_retailer text DEFAULT 'r-am',
                              p_severity integer DEFAULT NULL, p_category text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    WITH c AS (
        INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at, retailer_id, category)
        SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), p_kind, 'x', g.gateway_id, now() - p_ago, r.retailer_id, p_category
        FROM branches b JOIN gateways g USING (branch_id) JOIN retailers r USING (branch_id)
        WHERE branch_id = pg_temp.id('branch') AND r.code = p_retailer RETURNING *
    ), f AS (
        INSERT INTO follow_ups (branch_id, complaint, kind, owner_id, policy_id, raised_at, created_at, due_at, retailer_id, severity, category)
        SELECT c.branch_id, c.reference, c.kind, CASE p_kind WHEN 'report' THEN pg_temp.id('insp') ELSE r.manager_id END, p.policy_id,
               c.raised_at, c.raised_at, c.raised_at + p.deadline, c.retailer_id, p_severity, p_category
        FROM c JOIN policies p USING (branch_id) JOIN retailers r USING (branch_id, retailer_id) WHERE p.valid_until IS NULL RETURNING *
    ), s AS (
        INSERT INTO follow_up_steps (branch_id, follow_up_id, step, action, whom, due_at)
        SELECT f.branch_id, f.follow_up_id, s.step, s.action, s.whom, f.raised_at + interval '24 hours' * s.share::float8 + s.plus
        FROM f JOIN policy_steps s USING (branch_id, policy_id))
    INSERT INTO ids SELECT p_name, follow_up_id FROM f ON CONFLICT (name) DO UPDATE SET id = excluded.id $$;
-- The telephone or a hand did this: contacted.
CREATE FUNCTION pg_temp.contact(p_name text) RETURNS void LANGUAGE sql AS $$
    UPDATE follow_ups SET state = 'contacted', proof = 'recorded', contacted_at = now(), contacted_by_id = owner_id
        WHERE follow_up_id = pg_temp.id(p_name) $$;
CREATE FUNCTION pg_temp.at_desk(p_token bytea, p_operation text, p_request jsonb) RETURNS answer
LANGUAGE sql SET role = ringback_console AS $$
    SELECT * FROM desk(p_token, '{operator,account_manager,market_manager,supervisor,deliverer,inspector,administrator}', p_operation, p_request) $$;
GRANT EXECUTE ON FUNCTION pg_temp.at_desk TO PUBLIC;
-- Who asks for which operation on which follow-up with what body: status and, of a refusal, its code.
CREATE FUNCTION pg_temp.answer(p_who text, p_operation text, p_name text, p_body jsonb DEFAULT NULL, p_more jsonb DEFAULT '{}')
RETURNS answer LANGUAGE sql AS $$
    SELECT * FROM pg_temp.at_desk(sha256(p_who::bytea), p_operation, jsonb_strip_nulls(jsonb_build_object('path', jsonb_build_object('id', pg_temp.id(p_name)::text) || coalesce(p_more -> 'path', '{}'),
                       'query', p_more -> 'query', 'body', p_body, 'if_match', p_more -> 'if_match'))) $$;
CREATE FUNCTION pg_temp.ask(p_who text, p_operation text, p_name text, p_body jsonb DEFAULT NULL, p_more jsonb DEFAULT '{}')
RETURNS text LANGUAGE sql AS $$
    SELECT a.status || coalesce(' ' || a.code, '') || coalesce(' ' || (a.body::jsonb ->> 'state'), '')
    FROM pg_temp.answer(p_who, p_operation, p_name, p_body, p_more) a $$;
CREATE FUNCTION pg_temp.history(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(h.kind || coalesce(' ' || p.code, ''), ', ' ORDER BY h.history_id) FROM follow_up_history h
    LEFT JOIN people p ON p.branch_id = h.branch_id AND p.person_id = h.by_person_id WHERE h.follow_up_id = pg_temp.id(p_name) $$;
CREATE FUNCTION pg_temp.told(p_name text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(p.code || ' ' || n.type || ' ' || n.step, ', ' ORDER BY p.code, n.type, n.step), '')
    FROM notifications n JOIN people p ON p.branch_id = n.branch_id AND p.person_id = n.addressee_id WHERE n.follow_up_id = pg_temp.id(p_name) $$;
CREATE FUNCTION pg_temp.row(p_name text) RETURNS follow_ups LANGUAGE sql AS $$ SELECT * FROM follow_ups WHERE follow_up_id = pg_temp.id(p_name) $$;
CREATE FUNCTION pg_temp.solved() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"resolution": "补货", "valid": true, "thanks": true}'::jsonb $$;
CREATE FUNCTION pg_temp.visit(p_satisfied boolean, p_score integer DEFAULT 5) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('satisfied', p_satisfied, 'how', 'phone', 'reliability', p_score, 'assurance', 5, 'tangibles', 5, 'empathy', 5,
                              'responsiveness', 5, 'good', '快', 'bad', CASE WHEN p_satisfied THEN NULL ELSE '还是少' END) $$;

-- From the beginning to the end.
SELECT pg_temp.raise('one');
SELECT is(pg_temp.ask('am-2', 'acknowledge_follow_up', 'one'), '404 not-found', 'somebody else''s is not there');
SELECT is(pg_temp.ask('nobody', 'acknowledge_follow_up', 'one'), '403 no-person', 'an account that is nobody''s moves nothing');
SELECT is(pg_temp.ask('op', 'acknowledge_follow_up', 'one'), '403 not-in-charge', 'who sees it is not yet in charge of it');
SELECT is(pg_temp.ask('am', 'acknowledge_follow_up', 'one'), '200 acknowledged', 'its owner acknowledges it');
SELECT is(pg_temp.ask('am', 'acknowledge_follow_up', 'one'), '200 acknowledged', 'again');
SELECT is(pg_temp.ask('am', 'resolve_follow_up', 'one', pg_temp.solved()), '409 illegal-move', 'nothing is resolved before the retailer was called');
SELECT matches((pg_temp.answer('am', 'resolve_follow_up', 'one', pg_temp.solved())).detail, 'acknowledged cannot become resolved; from acknowledged it can become contacted',
               'and the refusal says what comes first');
SELECT pg_temp.contact('one');
SELECT is(pg_temp.ask('am', 'acknowledge_follow_up', 'one'), '200 contacted', 'acknowledging is overtaken by the call');
SELECT is(pg_temp.ask('am', 'resolve_follow_up', 'one', b), '422 invalid-data', 'resolved, but: ' || b::text) FROM (VALUES
    ('{"valid": true, "thanks": true}'::jsonb), ('{"resolution": " ", "valid": true, "thanks": true}'), ('{"resolution": "x", "thanks": true}'),
    ('{"resolution": "x", "valid": "yes", "thanks": true}'), ('{"resolution": "x", "valid": true}'), ('{"resolution": "x", "valid": true, "thanks": true, "more": 1}'),
    ('{"resolution": "x", "valid": true, "thanks": true, "root_cause": "no such"}'), ('[]')) x (b);
SELECT is(pg_temp.ask('am', 'resolve_follow_up', 'one', pg_temp.solved() || '{"root_cause": "picking", "corrective_action": "复核"}'), '200 resolved', 'resolved');
SELECT is((SELECT row(valid, thanks, root_cause, corrective_action, resolution)::text FROM pg_temp.row('one')), '(t,t,picking,复核,补货)', 'with all that was said');
SELECT is(pg_temp.ask('am', 'resolve_follow_up', 'one', pg_temp.solved()), '409 illegal-move', 'once');
SELECT is(pg_temp.ask('am', 'visit_retailer', 'one', pg_temp.visit(true)), '409 another-person', 'who resolved it does not ask whether it is');
SELECT is(pg_temp.ask('am', 'close_follow_up', 'one', '{"reason": "x"}'), '409 illegal-move', 'nor closes it');
SELECT is(pg_temp.ask('op', 'visit_retailer', 'one', b), '422 invalid-data', 'a return visit, but: ' || b::text) FROM (VALUES
    (pg_temp.visit(true) - 'satisfied'), (pg_temp.visit(true) - 'empathy'), (pg_temp.visit(true, 0)), (pg_temp.visit(true, 6)),
    (pg_temp.visit(true) || '{"assurance": 2.5}'), (pg_temp.visit(true) || '{"assurance": "3"}'), (pg_temp.visit(true) || '{"how": "mail"}'), (NULL)) x (b);
SELECT is(pg_temp.ask('op', 'visit_retailer', 'one', pg_temp.visit(true)), '200 closed', 'somebody else visits: satisfied, verified, closed');
SELECT is(pg_temp.ask('op', 'visit_retailer', 'one', pg_temp.visit(true)), '409 illegal-move', 'once');
SELECT is(pg_temp.history('one'), 'acknowledged am, resolved am, visited op, verified op, closed op', 'all of it is history');
SELECT is(pg_temp.told('one'), 'am closed closed', 'the owner hears that it is closed');
SELECT is((SELECT row(satisfied, verified_by_id = pg_temp.id('op'), closed_at = now())::text FROM pg_temp.row('one')), '(t,t,t)', 'with the facts');
SELECT is(pg_temp.ask('sup', x.op, 'one', x.body), '409 illegal-move', 'closed: no ' || x.op) FROM (VALUES
    ('acknowledge_follow_up', NULL::jsonb), ('resolve_follow_up', pg_temp.solved()), ('verify_follow_up', NULL), ('close_follow_up', '{"reason": "x"}'),
    ('promise_follow_up', jsonb_build_object('at', now() + interval '1 hour')), ('hand_over_follow_up', '{"to": "am-2", "reason": "x"}'),
    ('ask_department', jsonb_build_object('person', 'del', 'text', 'x', 'due_at', now() + interval '1 hour'))) x (op, body);
SELECT is(pg_temp.ask('am', 'note_follow_up', 'one', '{"text": "事后补记"}'), '200 closed', 'but notes');
SELECT is((SELECT count(*) FROM tasks WHERE follow_up_id = pg_temp.id('one')), 0::bigint, 'good scores make no task');

-- If-Match is honoured, not demanded.
SELECT pg_temp.raise('match');
SELECT is(pg_temp.ask('am', 'note_follow_up', 'match', '{"text": "x"}', '{"if_match": "\"1\""}'), '200 open', 'the version that was read');
SELECT is(pg_temp.ask('am', 'note_follow_up', 'match', '{"text": "x"}', '{"if_match": "\"1\""}'), '412 changed-meanwhile', 'is another one now');
SELECT is((pg_temp.answer('am', 'note_follow_up', 'match', '{"text": "x"}', '{"if_match": "\"2\""}')).etag, '3', 'and each move gives the next');

-- Dissatisfied, in time: again from the start, on the same clock, with what was planned still ahead.
SELECT pg_temp.raise('early', '2 hours');
SELECT pg_temp.contact('early');
SELECT is(pg_temp.ask('am', 'resolve_follow_up', 'early', pg_temp.solved()), '200 resolved', 'resolved in time');
SELECT is(pg_temp.ask('op', 'visit_retailer', 'early', pg_temp.visit(false, 2)), '200 open', 'dissatisfied reopens');
SELECT is((SELECT row(due_at = raised_at + interval '24 hours', reopened, satisfied, proof, resolved_by_id, resolution, valid)::text FROM pg_temp.row('early')),
          '(t,1,f,,,,)', 'on the same clock, with nothing left of the proof');
SELECT is((SELECT details -> 'was' ->> 'proof' || ' ' || (details -> 'was' ->> 'resolution') || ' ' || (details ->> 'because')
           FROM follow_up_history WHERE follow_up_id = pg_temp.id('early') AND kind = 'reopened'), 'recorded 补货 dissatisfied', 'which history keeps');
SELECT is(pg_temp.told('early'), 'am reopened reopened', 'its owner hears of it');
SELECT is((SELECT count(*) FROM follow_up_steps WHERE follow_up_id = pg_temp.id('early') AND fired_at IS NULL
           AND action <> 'unacknowledged'), 5::bigint, 'its ladder is ahead of it');
SELECT results_eq($$SELECT p.code, t.text, t.due_at > now() + interval '2 days' FROM tasks t JOIN people p ON p.branch_id = t.branch_id AND p.person_id = t.assignee_id
                    WHERE follow_up_id = pg_temp.id('early')$$, $$VALUES ('mm', 'reliability 2: 还是少', true)$$, 'a low score is a task of the market manager');

-- Dissatisfied, too late: up the line at once.
CREATE FUNCTION pg_temp.late(p_name text, p_ago interval) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.raise(p_name, p_ago);
    PERFORM pg_temp.contact(p_name);
    PERFORM fire_due_steps(NULL, 100); -- skipped as contacted
    PERFORM pg_temp.ask('am', 'resolve_follow_up', p_name, pg_temp.solved());
    RETURN pg_temp.ask('op', 'visit_retailer', p_name, pg_temp.visit(false)) || ': ' || pg_temp.told(p_name);
END $$;
SELECT is(pg_temp.late('late-0', '24 hours 10 minutes'), '200 open: am overdue overdue-again-1, am reopened reopened', 'past the deadline: overdue at once');
SELECT is(pg_temp.late('late-1', '25 hours 10 minutes'), '200 open: am reopened reopened, mm escalated escalation-1-again-1', 'an hour later: his market manager');
SELECT is(pg_temp.late('late-2', '3 days'), '200 open: am reopened reopened, sup escalated escalation-2-again-1', 'days later: the duty supervisor, only he');
SELECT is((SELECT string_agg(step, ', ') FROM follow_up_steps WHERE follow_up_id = pg_temp.id('late-0') AND fired_at IS NULL
           AND action <> 'unacknowledged'), 'escalation-1, escalation-2',
          'what is ahead fires as planned');
SELECT pg_temp.contact('late-2');
SELECT is(pg_temp.ask('am', 'resolve_follow_up', 'late-2', pg_temp.solved()) || pg_temp.ask('op', 'visit_retailer', 'late-2', pg_temp.visit(false)), '200 resolved200 open', 'a second time');
SELECT matches(pg_temp.told('late-2'), 'sup escalated escalation-2-again-2', 'the line hears of it again');

SELECT is(pg_temp.ask('am', 'record_contact', 'late-2', jsonb_build_object('outcome', 'reached', 'at', now() - interval '2 days')), '422 invalid-data',
          'a contact before it was reopened is none of this round');

-- A supervisor's word from the policy's severity up.
UPDATE policies SET verify_severity = 2 WHERE branch_id = pg_temp.id('branch');
SELECT pg_temp.raise('grave', p_severity => 2), pg_temp.raise('slight', p_severity => 1), pg_temp.raise('unknown'), pg_temp.raise('by-sup', p_severity => 3),
       pg_temp.raise('sup-first', p_severity => 3);
SELECT pg_temp.contact(x), pg_temp.ask('am', 'resolve_follow_up', x, pg_temp.solved()) FROM unnest('{grave,slight,unknown,by-sup,sup-first}'::text[]) x;
SELECT is(pg_temp.ask('op', 'visit_retailer', 'slight', pg_temp.visit(true)), '200 closed', 'below it a satisfied retailer is enough');
SELECT is(pg_temp.ask('op', 'visit_retailer', 'unknown', pg_temp.visit(true)), '200 closed', 'as without a severity');
SELECT is(pg_temp.ask('op', 'visit_retailer', 'grave', pg_temp.visit(true)), '200 resolved', 'from it up a supervisor is waited for');
SELECT is(pg_temp.ask('am', 'verify_follow_up', 'grave'), '409 another-person', 'not who resolved it');
SELECT is(pg_temp.ask('sup', 'verify_follow_up', 'grave', '{"note": "属实"}'), '200 closed', 'whose word closes it');
SELECT is(pg_temp.history('grave'), 'resolved am, visited op, verified sup, closed sup', 'as history says');
SELECT is(pg_temp.ask('mm', 'visit_retailer', 'by-sup', pg_temp.visit(true)), '200 closed', 'a superior''s own visit is both');
SELECT is(pg_temp.ask('sup', 'verify_follow_up', 'sup-first'), '200 verified', 'verified before the return visit');
SELECT is(pg_temp.ask('sup', 'verify_follow_up', 'sup-first'), '409 illegal-move', 'once');
SELECT is(pg_temp.ask('op', 'visit_retailer', 'sup-first', pg_temp.visit(true)), '200 closed', 'is closed by it');
SELECT pg_temp.raise('no-visit', p_severity => 3), pg_temp.contact('no-visit'), pg_temp.ask('am', 'resolve_follow_up', 'no-visit', pg_temp.solved());
SELECT is(pg_temp.ask('sup', 'close_follow_up', 'no-visit', '{"reason": "x"}'), '409 illegal-move', 'nothing is closed on one person''s word');
SELECT is(pg_temp.ask('mm', 'verify_follow_up', 'no-visit') || pg_temp.ask('sup', 'close_follow_up', 'no-visit', '{"reason": "店主出国"}'), '200 verified200 closed',
          'verified by another person it may be closed without a return visit, with the reason');

-- Reopening.
SELECT is(pg_temp.ask('op', 'reopen_follow_up', 'no-visit', '{}'), '422 invalid-data', 'not without a reason');
SELECT is(pg_temp.ask('op', 'reopen_follow_up', 'no-visit', '{"reason": "又来电"}'), '200 open', 'closed ones are reopened');
SELECT is(pg_temp.ask('op', 'reopen_follow_up', 'no-visit', '{"reason": "又来电"}'), '409 illegal-move', 'once');
SELECT is((SELECT count(*) FROM follow_up_history WHERE follow_up_id = pg_temp.id('no-visit') AND kind = 'reopened'), 1::bigint, 'which is one line');
UPDATE follow_ups SET closed_at = now() - interval '31 days' WHERE follow_up_id = pg_temp.id('grave');
SELECT is(pg_temp.ask('op', 'reopen_follow_up', 'grave', '{"reason": "x"}'), '409 too-late', 'for thirty days');
SELECT is(pg_temp.ask('op', 'visit_retailer', 'grave', pg_temp.visit(false)), '409 too-late', 'also by a dissatisfied retailer');
SELECT pg_temp.raise('claimed');
SELECT pg_temp.contact('claimed');
SELECT is(pg_temp.ask('op', 'reopen_follow_up', 'claimed', '{"reason": "客户说没人来过"}'), '200 open', 'a contact that the retailer knows nothing of is reopened');

-- Hand-over.
SELECT pg_temp.raise('given');
SELECT is(pg_temp.ask('am', 'acknowledge_follow_up', 'given'), '200 acknowledged', 'acknowledged');
SELECT is(pg_temp.ask('am', 'hand_over_follow_up', 'given', b), '422 invalid-data', 'handed over to: ' || b::text) FROM (VALUES ('{"to": "gone", "reason": "x"}'::jsonb),
    ('{"to": "nobody-of-this-name", "reason": "x"}'), ('{"to": "am-2"}'), ('{"reason": "x"}')) x (b);
SELECT is(pg_temp.ask('am', 'hand_over_follow_up', 'given', '{"to": "am-2", "reason": "调区"}'), '200 open', 'the new owner has acknowledged nothing yet');
SELECT is((SELECT row(owner_id = pg_temp.id('am-2'), due_at = raised_at + interval '24 hours')::text FROM pg_temp.row('given')), '(t,t)', 'it is his, on the same clock');
SELECT is(pg_temp.told('given'), 'am-2 assigned assigned', 'and he hears of it');
SELECT is((SELECT details::text FROM follow_up_history WHERE follow_up_id = pg_temp.id('given') AND kind = 'handed-over'),
          '{"to": "am-2", "from": "am", "reason": "调区"}', 'as history says');
SELECT is(pg_temp.ask('am', 'hand_over_follow_up', 'given', '{"to": "am", "reason": "x"}'), '403 not-in-charge', 'what was given away is not taken back');
SELECT is(pg_temp.ask('am-2', 'hand_over_follow_up', 'given', '{"to": "am-2", "reason": "x"}') || pg_temp.told('given'), '200 openam-2 assigned assigned', 'nor given twice');
SELECT is(pg_temp.ask('am-2', 'hand_over_follow_up', 'given', '{"to": "am", "reason": "x"}'), '204', 'who gives it to where he sees nothing sees nothing');

-- A time promised to the retailer.
SELECT pg_temp.raise('promised');
CREATE FUNCTION pg_temp.steps(p_name text, p_like text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(step || ' ' || coalesce(skipped, CASE WHEN fired_at IS NULL THEN 'waits' ELSE 'fired' END), ', ' ORDER BY step) FROM follow_up_steps
    WHERE follow_up_id = pg_temp.id(p_name) AND step LIKE p_like $$;
SELECT is(pg_temp.ask('op', 'promise_follow_up', 'promised', b), '422 invalid-data', 'promised for: ' || b::text) FROM (VALUES ('{}'::jsonb), ('{"at": "tomorrow"}'),
    ('{"at": "2026-02-30T10:00:00+08:00"}'), ('{"at": "2020-01-01T10:00:00+08:00"}'), ('{"at": "2020-01-01T10:00:00"}'), ('{"at": "9999-01-01T00:00:00Z"}')) x (b);
SELECT is(pg_temp.ask('op', 'promise_follow_up', 'promised', jsonb_build_object('at', now() + interval '3 hours', 'note', '下午三点')), '200 open', 'an operator promises a time');
SELECT is(pg_temp.steps('promised', 'promise-%'), 'promise-1 waits, promise-1-soon waits', 'which is a step, with one before it');
SELECT is(pg_temp.ask('am', 'promise_follow_up', 'promised', jsonb_build_object('at', now() + interval '10 minutes')), '200 open', 'promised anew, soon');
SELECT is(pg_temp.steps('promised', 'promise-%'), 'promise-1 replaced, promise-1-soon replaced, promise-2 waits', 'the new one counts');
UPDATE follow_up_steps SET due_at = now() WHERE follow_up_id = pg_temp.id('promised') AND step = 'promise-2';
SELECT is((SELECT string_agg(action, ' ') FROM fire_due_steps(now(), 10)), 'promised', 'its time comes');
SELECT is(pg_temp.told('promised'), 'am reminded promise-2', 'and the owner is reminded');
SELECT is(pg_temp.ask('am', 'promise_follow_up', 'promised', jsonb_build_object('at', now() + interval '2 hours')), '200 open', 'promised a third time');
SELECT pg_temp.contact('promised');
SELECT is(pg_temp.steps('promised', 'promise-3%'), 'promise-3 kept, promise-3-soon kept', 'a promise is kept by calling');
SELECT is(pg_temp.ask('am', 'promise_follow_up', 'promised', jsonb_build_object('at', now() + interval '1 day')), '200 contacted', 'then what comes of it is promised');
SELECT is(pg_temp.ask('am', 'resolve_follow_up', 'promised', pg_temp.solved()) || ' ' || pg_temp.steps('promised', 'promise-4%'),
          '200 resolved promise-4 kept, promise-4-soon kept', 'and kept by resolving it');
SELECT is(pg_temp.ask('am', 'promise_follow_up', 'promised', jsonb_build_object('at', now() + interval '1 day')), '409 illegal-move', 'nothing is promised any more');

-- Requests to others.
SELECT pg_temp.raise('asked'), pg_temp.raise('asked-report', p_kind => 'report');
SELECT is(pg_temp.ask('del', 'note_follow_up', 'asked', '{"text": "x"}'), '404 not-found', 'a deliverer sees no follow-up');
CREATE FUNCTION pg_temp.request(p_more jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('text', '核对签收单', 'due_at', now() + interval '4 hours') || p_more $$;
SELECT is(pg_temp.ask('am', 'ask_department', 'asked', pg_temp.request(b)), '422 invalid-data', 'asked: ' || b::text) FROM (VALUES ('{}'::jsonb),
    ('{"department": "delivery", "person": "del"}'), ('{"person": "am"}'), ('{"department": "no-such"}'), ('{"person": "gone"}'), ('{"person": "del", "text": ""}'),
    ('{"person": "del", "due_at": "2020-01-01T00:00:00Z"}')) x (b);
SELECT is(pg_temp.ask('op', 'ask_department', 'asked', pg_temp.request('{"person": "del"}')), '403 not-in-charge', 'its owner asks, not who passes by');
SELECT is(pg_temp.ask('am', 'ask_department', 'asked', pg_temp.request('{"department": "delivery"}')), '200 open', 'a department nobody answers for');
SELECT is(pg_temp.told('asked'), 'sup assigned request-1', 'is the duty supervisor''s');
SELECT is(pg_temp.ask('admin', 'put_department', 'asked', '{"zh": "配送中心", "en": "Delivery", "person": "del"}', '{"path": {"code": "delivery"}}'), '200', 'an administrator names somebody');
SELECT is(pg_temp.ask('admin', 'put_department', 'asked', '{"zh": "x", "en": "x", "person": "gone"}', '{"path": {"code": "delivery"}}'), '422 invalid-data', 'who works here');
SELECT is(pg_temp.ask('am', 'ask_department', 'asked', pg_temp.request('{"department": "delivery"}')), '200 open', 'and he is asked');
SELECT is((SELECT owner_id FROM pg_temp.row('asked')), pg_temp.id('am')::integer, 'the owner stays');
SELECT is(pg_temp.ask('del', 'note_follow_up', 'asked', '{"text": "正在查"}'), '200 open', 'who is asked sees it');
SELECT is((pg_temp.answer('del', 'note_follow_up', 'asked', '{"text": "x"}')).body::jsonb #>> '{retailer,code}', 'r-am', 'with the shop');
UPDATE follow_up_steps SET due_at = now() WHERE follow_up_id = pg_temp.id('asked') AND step LIKE 'request-2%';
SELECT pg_temp.contact('asked');
SELECT is((SELECT count(*) FROM fire_due_steps(now(), 10) WHERE action = 'request'), 2::bigint, 'its times come, contacted or not');
SELECT is(pg_temp.told('asked'), 'am reminded request-2-late, del assigned request-2, del reminded request-2, sup assigned request-1', 'he is reminded, then the owner');
SELECT is(pg_temp.ask('insp', 'answer_request', 'asked', '{"answer": "x"}', '{"path": {"number": "2"}}'), '404 not-found', 'others do not answer for him');
SELECT is(pg_temp.ask('del', 'answer_request', 'asked', '{}', '{"path": {"number": "2"}}'), '422 invalid-data', 'an answer says something');
SELECT is(pg_temp.ask('del', 'answer_request', 'asked', '{"answer": "x"}', '{"path": {"number": "1"}}'), '403 not-in-charge', 'his own');
SELECT is((pg_temp.answer('del', 'answer_request', 'asked', '{"answer": "少送一箱"}', '{"path": {"number": "2"}}')).body::jsonb ->> 'answer', '少送一箱', 'he answers');
SELECT matches(pg_temp.told('asked'), 'am reminded request-2-answered', 'the owner hears that it is there');
SELECT is(pg_temp.ask('del', 'note_follow_up', 'asked', '{"text": "x"}'), '404 not-found', 'then he sees it no more');
SELECT is(pg_temp.ask('am', 'answer_request', 'asked', '{"answer": "x"}', '{"path": {"number": "2"}}'), '409 illegal-move', 'it is answered once');
SELECT is(pg_temp.ask('am', 'answer_request', 'asked', '{"answer": "电话答复"}', '{"path": {"number": "1"}}'), '200', 'the owner writes down an answer for him');
SELECT is(pg_temp.steps('asked', 'request-1%'), 'request-1 answered, request-1-late answered', 'and nobody is reminded of it');
SELECT is(pg_temp.ask('insp', 'ask_department', 'asked-report', pg_temp.request('{"person": "del"}')), '422 invalid-data', 'a report is shown to nobody who may not see reports');
SELECT is(pg_temp.ask('insp', 'ask_department', 'asked-report', pg_temp.request('{"person": "sup-named"}')), '200 open', 'but to who may');
SELECT is(pg_temp.ask('insp', 'hand_over_follow_up', 'asked-report', '{"to": "am", "reason": "x"}'), '422 invalid-data', 'nor given to others');
SELECT is(pg_temp.ask('sup', 'note_follow_up', 'asked-report', '{"text": "x"}'), '404 not-found', 'a supervisor who is not named for reports knows of none');
INSERT INTO follow_up_requests (branch_id, follow_up_id, number, asked_id, asked_by_id, text, due_at)
    VALUES (pg_temp.id('branch'), pg_temp.id('asked-report'), 9, pg_temp.id('del'), pg_temp.id('insp'), 'x', now());
SELECT is(pg_temp.ask('del', 'note_follow_up', 'asked-report', '{"text": "x"}'), '404 not-found', 'not even who is asked by mistake');

SELECT pg_temp.raise('withdrawn');
SELECT is(pg_temp.ask('am', 'ask_department', 'withdrawn', pg_temp.request('{"person": "del"}')), '200 open', 'asked');
SELECT pg_temp.contact('withdrawn'), pg_temp.ask('am', 'resolve_follow_up', 'withdrawn', pg_temp.solved());
SELECT is(pg_temp.ask('op', 'visit_retailer', 'withdrawn', pg_temp.visit(true)), '200 closed', 'and closed before he answered');
SELECT is(pg_temp.ask('del', 'note_follow_up', 'withdrawn', '{"text": "x"}'), '404 not-found', 'he is asked no more');
SELECT is(pg_temp.ask('op', 'reopen_follow_up', 'withdrawn', '{"reason": "x"}') || ' ' || pg_temp.steps('withdrawn', 'request%'),
          '200 open request-1 closed, request-1-late closed', 'not even when it is reopened');

-- Merging repeats.
SELECT pg_temp.raise('first', '5 hours', p_category => 'short-delivery'), pg_temp.raise('second', '1 hour', p_category => 'short-delivery'), pg_temp.raise('third', p_category => 'price'),
       pg_temp.raise('other-shop', p_retailer => 'r-am-2'), pg_temp.raise('report', p_kind => 'report');
CREATE FUNCTION pg_temp.into(p_name text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('into', pg_temp.id(p_name)) $$;
CREATE FUNCTION pg_temp.repeats(p_name text) RETURNS SETOF jsonb LANGUAGE sql AS $$
    SELECT jsonb_array_elements((pg_temp.answer('op', 'list_repeats', p_name)).body::jsonb -> 'items') $$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_temp TO PUBLIC;
SELECT is((SELECT string_agg((i ->> 'id') || ' ' || (i ->> 'same') || ' ' || (i ->> 'merge'), ', ') FROM pg_temp.repeats('second') i WHERE i -> 'same' <> '["kind"]'),
          pg_temp.id('first') || ' ["category"] into', 'what may be the same is found');
SELECT is((SELECT i ->> 'id' FROM pg_temp.repeats('second') WITH ORDINALITY r (i, n) WHERE n = 1), pg_temp.id('first')::text, 'what surely looks like it comes first');
SELECT cmp_ok((SELECT count(*) FROM pg_temp.repeats('one') i WHERE i -> 'same' = '["kind"]' AND i ->> 'kind' = 'complaint'), '>', 0::bigint,
              'where no category was named, those of the same kind within a week are');
SELECT is((SELECT count(*) FROM pg_temp.repeats('first') i WHERE (i ->> 'id')::bigint = pg_temp.id('third')), 0::bigint, 'another category is not');
SELECT is(pg_temp.ask('op', 'merge_follow_up', 'first', pg_temp.into('second')), '409 merge-the-other-way', 'the one that is due first stands for both');
SELECT is(pg_temp.ask('op', 'merge_follow_up', 'second', pg_temp.into('second')), '422 invalid-data', 'not into itself');
SELECT is(pg_temp.ask('op', 'merge_follow_up', 'other-shop', pg_temp.into('first')), '422 invalid-data', 'nor into another shop''s');
SELECT is(pg_temp.ask('sup-named', 'merge_follow_up', 'report', pg_temp.into('first')), '422 invalid-data', 'nor a report into something else');
SELECT is(pg_temp.ask('am', 'merge_follow_up', 'second', pg_temp.into('other-shop')), '422 invalid-data', 'nor into what he does not see');
SELECT is(pg_temp.ask('am', 'merge_follow_up', 'second', '{"into": "x"}'), '422 invalid-data', 'nor into nonsense');
SELECT pg_temp.contact('second');
SELECT is(pg_temp.ask('op', 'merge_follow_up', 'second', pg_temp.into('first')), '200 closed', 'a repeat is merged');
SELECT is((SELECT state || ' ' || proof FROM pg_temp.row('first')), 'contacted recorded', 'what was known of it is known of the first');
SELECT is(pg_temp.history('second') || '; ' || pg_temp.history('first'), 'merged op; took-in op, contacted am', 'both remember');
SELECT is(pg_temp.told('second'), 'am closed merged', 'its owner hears of it');
SELECT is((pg_temp.answer('op', 'note_follow_up', 'first', '{"text": "x"}')).body::jsonb #>> '{merged,0,id}', pg_temp.id('second')::text, 'the first shows what was merged');
SELECT is(pg_temp.ask('op', 'note_follow_up', 'second', '{"text": "x"}'), '409 illegal-move', 'nothing is done to the merged one');
SELECT is(pg_temp.ask('op', 'merge_follow_up', 'second', pg_temp.into('first')), '409 illegal-move', 'nor merged twice');
SELECT pg_temp.raise('zeroth', '6 hours');
SELECT is(pg_temp.ask('op', 'merge_follow_up', 'first', pg_temp.into('zeroth')), '200 closed', 'what took another in is merged itself');
SELECT is((SELECT merged_into FROM pg_temp.row('second')), pg_temp.id('zeroth'), 'the last one stands for all');
SELECT is(pg_temp.ask('am', 'reopen_follow_up', 'second', '{"reason": "不是一回事"}'), '200 open', 'a merged one is taken out again');
SELECT is((SELECT row(merged_into, due_at = raised_at + interval '24 hours', proof)::text FROM pg_temp.row('second')), '(,t,)', 'on its own clock');
SELECT matches(pg_temp.history('zeroth'), 'split am$', 'which the other one remembers');
SELECT is(pg_temp.ask('am', 'ask_department', 'third', pg_temp.request('{"person": "del"}')), '200 open', 'one with an open request');
SELECT is(pg_temp.ask('am', 'merge_follow_up', 'third', pg_temp.into('zeroth')), '409 open-requests', 'waits for the answer');

-- Tasks.
SELECT id AS task FROM (SELECT task_id AS id FROM tasks WHERE follow_up_id = pg_temp.id('early')) x \gset
INSERT INTO ids VALUES ('task', :task);
CREATE FUNCTION pg_temp.tasks(p_who text, p_query jsonb DEFAULT '{}') RETURNS integer LANGUAGE sql AS $$
    SELECT jsonb_array_length((pg_temp.answer(p_who, 'list_tasks', 'task', NULL, jsonb_build_object('query', p_query))).body::jsonb -> 'items') $$;
SELECT is(ARRAY[pg_temp.tasks('mm'), pg_temp.tasks('sup'), pg_temp.tasks('am'), pg_temp.tasks('op'), pg_temp.tasks('am-2')], '{1,1,0,0,0}', 'a task is its assignee''s, and the supervisors''');
SELECT is(ARRAY[pg_temp.tasks('sup', '{"assignee": "mm"}'), pg_temp.tasks('sup', '{"assignee": "am"}'), pg_temp.tasks('sup', '{"state": "done"}'), pg_temp.tasks('sup', '{"due_before": "2020-01-01"}')],
          '{1,0,0,0}', 'found by filters');
SELECT is(pg_temp.ask('sup', 'list_tasks', 'task', NULL, jsonb_build_object('query', q)), '400 bad-request', 'a filter means something: ' || q::text) FROM (VALUES ('{"state": "x"}'::jsonb), ('{"assignee": "x"}')) x (q);
SELECT is(pg_temp.ask('am', 'finish_task', 'task'), '404 not-found', 'others do not see it');
SELECT is(pg_temp.ask('mm', 'finish_task', 'task', '{"note": "已面谈"}'), '200', 'it is done');
SELECT is(pg_temp.ask('mm', 'finish_task', 'task', '{"note": "again"}'), '200', 'again');
SELECT is((SELECT note FROM tasks WHERE task_id = pg_temp.id('task')), '已面谈', 'which changes nothing');
SELECT is(pg_temp.tasks('mm') + 10 * pg_temp.tasks('mm', '{"state": "done"}'), 10, 'and it leaves the list');
SELECT pg_temp.raise('low-report', p_kind => 'report'), pg_temp.contact('low-report'), pg_temp.ask('insp', 'resolve_follow_up', 'low-report', pg_temp.solved());
SELECT is(pg_temp.ask('sup-named', 'visit_retailer', 'low-report', pg_temp.visit(true, 1)), '200 closed', 'a report with a low score');
SELECT is(ARRAY[pg_temp.tasks('mm'), pg_temp.tasks('sup'), pg_temp.tasks('insp')], '{0,0,1}', 'is a task of who may see reports');

SELECT * FROM finish();
ROLLBACK;
