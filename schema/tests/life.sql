-- The life of a follow-up: the guard against every illegal move. One transaction, undone at the end.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();

CREATE TEMP TABLE ids (name text PRIMARY KEY, id bigint);
GRANT ALL ON ids TO PUBLIC;
CREATE FUNCTION pg_temp.id(p_name text) RETURNS integer LANGUAGE sql AS $$ SELECT id::integer FROM ids WHERE name = p_name $$;
INSERT INTO ids VALUES ('branch', add_branch('TAP-LIFE', 'x'));
INSERT INTO people (branch_id, code, name, role) SELECT pg_temp.id('branch'), p.code, p.code, p.role
    FROM (VALUES ('am', 'account_manager'), ('am-2', 'account_manager'), ('sup', 'supervisor')) p (code, role);
INSERT INTO ids SELECT code, person_id FROM people WHERE branch_id = pg_temp.id('branch');
INSERT INTO retailers (branch_id, code, name, manager_id) VALUES (pg_temp.id('branch'), 'r', 'r', pg_temp.id('am'));
INSERT INTO gateways (branch_id, name, sealed_key) VALUES (pg_temp.id('branch'), 'tap-life', '\x00');

-- A follow-up in a state, with all that this state needs; its id by name.
CREATE FUNCTION pg_temp.raise(p_name text, p_state text DEFAULT 'open') RETURNS void LANGUAGE sql AS $$
    WITH c AS (
        INSERT INTO complaints (branch_id, reference, kind, text, gateway_id, raised_at, retailer_id)
        SELECT b.branch_id, reference_of(nextval(b.reference_sequence)), 'complaint', 'x', g.gateway_id, now(), r.retailer_id
        FROM branches b JOIN gateways g USING (branch_id) JOIN retailers r USING (branch_id)
        WHERE branch_id = pg_temp.id('branch') RETURNING *
    ), h AS (
        SELECT array_position('{open,acknowledged,contacted,resolved,verified,closed}', p_state) - 1 AS height
    ), f AS (
        INSERT INTO follow_ups (branch_id, complaint, owner_id, policy_id, raised_at, due_at, retailer_id, state, acknowledged_at, proof,
                                contacted_at, resolved_at, resolved_by_id, resolution, verified_at, verified_by_id, closed_at)
        SELECT c.branch_id, c.reference, pg_temp.id('am'), p.policy_id, c.raised_at, c.raised_at + p.deadline, c.retailer_id, p_state,
               CASE WHEN height >= 1 THEN now() END, CASE WHEN height >= 2 THEN 'recorded' END, CASE WHEN height >= 2 THEN now() END,
               CASE WHEN height >= 3 THEN now() END, CASE WHEN height >= 3 THEN pg_temp.id('am') END, CASE WHEN height >= 3 THEN 'x' END,
               CASE WHEN height >= 4 THEN now() END, CASE WHEN height >= 4 THEN pg_temp.id('sup') END, CASE WHEN height >= 5 THEN now() END
        FROM h, c JOIN policies p USING (branch_id) RETURNING *)
    INSERT INTO ids SELECT p_name, follow_up_id FROM f ON CONFLICT (name) DO UPDATE SET id = excluded.id $$;
-- How a follow-up's change ends: its new state, or what it was refused with.
CREATE FUNCTION pg_temp.change(p_name text, p_set text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
BEGIN
    EXECUTE format('UPDATE follow_ups SET %s WHERE follow_up_id = %s RETURNING state', p_set, pg_temp.id(p_name)) INTO STRICT v_state;
    RETURN v_state;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
-- What a change into this state sets when nothing is forgotten.
CREATE TABLE pg_temp.facts (state text PRIMARY KEY, facts text);
INSERT INTO pg_temp.facts VALUES
    ('open', 'state = ''open'', owner_id = pg_temp.id(''am-2''), reopened = reopened + 1, proof = NULL, contacted_at = NULL, resolved_at = NULL, '
        'resolved_by_id = NULL, resolution = NULL, verified_at = NULL, verified_by_id = NULL, closed_at = NULL, merged_into = NULL'),
    ('acknowledged', 'state = ''acknowledged'', acknowledged_at = now()'),
    ('contacted', 'state = ''contacted'', proof = ''proved'', contacted_at = now()'),
    ('resolved', 'state = ''resolved'', resolved_at = now(), resolved_by_id = pg_temp.id(''am''), resolution = ''x'''),
    ('verified', 'state = ''verified'', verified_at = now(), verified_by_id = pg_temp.id(''sup'')'),
    ('closed', 'state = ''closed'', closed_at = now()');

-- Every state to every other.
CREATE TEMP TABLE legal (was text, becomes text);
INSERT INTO legal VALUES ('open', 'acknowledged'), ('open', 'contacted'), ('acknowledged', 'contacted'), ('acknowledged', 'open'),
    ('contacted', 'resolved'), ('contacted', 'open'), ('resolved', 'verified'), ('resolved', 'open'), ('verified', 'closed'),
    ('verified', 'open'), ('closed', 'open');
CREATE FUNCTION pg_temp.try(p_was text, p_becomes text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.raise('one', p_was);
    RETURN pg_temp.change('one', (SELECT facts FROM pg_temp.facts WHERE state = p_becomes));
END $$;
SELECT CASE WHEN l.was IS NOT NULL THEN is(pg_temp.try(a.state, b.state), b.state, a.state || ' becomes ' || b.state)
            ELSE matches(pg_temp.try(a.state, b.state), format('^RB409 a follow-up that is %s cannot become %s', a.state, b.state),
                         a.state || ' never becomes ' || b.state) END
FROM pg_temp.facts a CROSS JOIN pg_temp.facts b LEFT JOIN legal l ON l.was = a.state AND l.becomes = b.state
WHERE a.state <> b.state;
SELECT is(pg_temp.try('contacted', 'verified'), 'RB409 a follow-up that is contacted cannot become verified; from contacted it can become resolved, open, closed',
          'a refusal says what is possible');

-- Merged: closed from wherever somebody still works on it, never later.
SELECT pg_temp.raise('main');
CREATE FUNCTION pg_temp.merge(p_was text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.raise('one', p_was);
    RETURN pg_temp.change('one', 'state = ''closed'', closed_at = now(), merged_into = pg_temp.id(''main'')');
END $$;
SELECT is(pg_temp.merge(x), 'closed', x || ' is merged') FROM unnest('{open,acknowledged,contacted}'::text[]) x;
SELECT matches(pg_temp.merge('resolved'), '^RB409 .*from resolved it can become verified, open', 'what is resolved is not merged');
SELECT pg_temp.raise('one');
SELECT matches(pg_temp.change('one', 'merged_into = pg_temp.id(''main'')'), '^RB409', 'what is merged is closed');
SELECT matches(pg_temp.change('one', 'state = ''closed'', closed_at = now(), merged_into = follow_up_id'), '^RB409', 'nothing is merged into itself');

-- Made of a missed call: closed when that turns out to have brought an order or complaint, all of them if there are several.
INSERT INTO calls (branch_id, call, gateway_id, state, direction, from_number, to_number)
    SELECT branch_id, c, gateway_id, 3, 'inbound', '1', '2' FROM gateways, unnest('{call-1,call-2}'::text[]) c WHERE name = 'tap-life';
SELECT pg_temp.raise('missed');
INSERT INTO missed_calls (branch_id, call, follow_up_id, phone, named_by)
    VALUES (pg_temp.id('branch'), 'call-1', pg_temp.id('missed'), '1', 1000000001), (pg_temp.id('branch'), 'call-2', pg_temp.id('missed'), '1', NULL);
SELECT matches(pg_temp.change('missed', 'state = ''closed'', closed_at = now()'), '^RB409', 'one of two calls is still to be called back for');
UPDATE missed_calls SET named_by = 1000000001 WHERE call = 'call-2' AND follow_up_id = pg_temp.id('missed');
SELECT is(pg_temp.change('missed', 'state = ''closed'', closed_at = now()'), 'closed', 'none is');

-- No state without its facts.
SELECT pg_temp.raise(x.state, x.state) FROM pg_temp.facts x;
SELECT matches(pg_temp.change(x.was, x.set), '^RB409 .*' || x.why, x.what) FROM (VALUES
    ('open', 'state = ''acknowledged''', 'needs when it was acknowledged', 'acknowledged, but when?'),
    ('open', 'state = ''contacted'', contacted_at = now()', 'needs proof', 'contacted without proof'),
    ('open', 'state = ''contacted'', proof = ''recorded''', 'needs proof', 'contacted, but when?'),
    ('open', 'proof = ''recorded'', contacted_at = now()', 'clean slate', 'proof without the state'),
    ('open', 'state = ''closed'', closed_at = now()', 'before it is verified', 'closed by a tick in a box'),
    ('contacted', 'state = ''resolved'', resolved_at = now(), resolution = ''x''', 'who resolved it', 'resolved by nobody'),
    ('contacted', 'state = ''resolved'', resolved_at = now(), resolved_by_id = pg_temp.id(''am''), resolution = '' ''', 'how', 'resolved without a word'),
    ('contacted', 'state = ''open''', 'not counted', 'reopened without being counted'),
    ('contacted', 'state = ''open'', reopened = 1', 'clean slate', 'reopened with the old proof'),
    ('contacted', 'proof = NULL', 'not forgotten', 'a contact forgotten'),
    ('acknowledged', 'state = ''open''', 'new owner', 'acknowledgement withdrawn'),
    ('resolved', 'state = ''verified'', verified_at = now()', 'who verified it', 'verified by nobody'),
    ('resolved', 'state = ''verified'', verified_at = now(), verified_by_id = resolved_by_id', 'somebody else', 'verified by who resolved it'),
    ('verified', 'state = ''closed''', 'when it was closed', 'closed, but when?'),
    ('closed', 'reopened = 1, state = ''open'', due_at = now() + interval ''1 year''', 'clock', 'reopened on another clock'),
    ('open', 'raised_at = now() + interval ''1 hour''', 'never changed', 'raised at another time'),
    ('open', 'complaint = 1', 'never changed', 'about another complaint')) x (was, set, why, what);
SELECT pg_temp.raise('proved');
SELECT is(pg_temp.change('proved', 'state = ''contacted'', proof = ''recorded'', contacted_at = now()'), 'contacted', 'contacted by hand');
SELECT is(pg_temp.change('proved', 'proof = ''proved'''), 'contacted', 'what was recorded is proved');
SELECT matches(pg_temp.change('proved', 'proof = ''recorded'''), '^RB409', 'and stays so');
SELECT is((SELECT revision FROM follow_ups WHERE follow_up_id = pg_temp.id('proved')), 3, 'each change is a revision');

-- History is not rewritten.
SELECT note_history(pg_temp.id('branch'), pg_temp.id('proved'), 'note', pg_temp.id('am'), '{"text": "x", "nothing": null}');
SELECT is((SELECT details FROM follow_up_history WHERE follow_up_id = pg_temp.id('proved')), '{"text": "x"}'::jsonb, 'a line of history');
SELECT throws_ok(format('UPDATE follow_up_history SET kind = ''x'' WHERE follow_up_id = %s', pg_temp.id('proved')), '42501', NULL, 'is not rewritten');
SELECT throws_ok(format('DELETE FROM follow_up_history WHERE follow_up_id = %s', pg_temp.id('proved')), '42501', NULL, 'nor removed');

SELECT * FROM finish();
ROLLBACK;
