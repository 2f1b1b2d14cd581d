-- The life of a follow-up, kept by the table itself: whoever changes one (a move of 68-moves.sql, a call that proves a
-- contact, a deputy who takes over), no illegal move gets past this guard. Called by the trigger legal_move only; it decides
-- nothing about who may do what, which the moves do.
--
--   open ──► acknowledged ──► contacted ──► resolved ──► verified ──► closed
--     └──────────────────────────▲
--   open, acknowledged, contacted ──► closed      merged into another one, which stands for it; or made of a missed call
--                                                 (missed_calls) that turned out to have brought an order or complaint
--   contacted, resolved, verified, closed ──► open      reopened, on the same clock
--   acknowledged ──► open      handed over: the new owner has not acknowledged
--
-- Lock order of all moves: rows of follow_ups by (branch, id), then their requests, steps, tasks. History and notifications are only
-- added. Locks are FOR NO KEY UPDATE: what only refers to a follow-up (history, notifications) never waits for a move.

CREATE OR REPLACE FUNCTION moves_from(p_state text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE p_state
        WHEN 'open' THEN '{acknowledged,contacted,closed}'::text[]
        WHEN 'acknowledged' THEN '{contacted,closed,open}'
        WHEN 'contacted' THEN '{resolved,open,closed}'
        WHEN 'resolved' THEN '{verified,open}'
        WHEN 'verified' THEN '{closed,open}'
        WHEN 'closed' THEN '{open}'
        ELSE '{}' END
$$;
COMMENT ON FUNCTION moves_from(text) IS 'The states that a follow-up in this one may go to: the whole table of legal moves.';
GRANT EXECUTE ON FUNCTION moves_from TO ringback_console;

CREATE OR REPLACE FUNCTION refuse_move(p_from text, p_to text, p_why text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refuse(409, 'illegal-move', format('a follow-up that is %s cannot become %s', p_from, p_to)
        || coalesce(': ' || p_why, format('; from %s it can become %s', p_from, array_to_string(moves_from(p_from), ', '))));
END $$;
COMMENT ON FUNCTION refuse_move(text, text, text) IS 'Refuses with 409 illegal-move, which says what is possible from here or what is missing.';
GRANT EXECUTE ON FUNCTION refuse_move TO ringback_console;

CREATE OR REPLACE FUNCTION nothing_to_do(f follow_ups) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT count(*) > 0 AND count(*) = count(m.named_by) FROM missed_calls m
    WHERE m.branch_id = f.branch_id AND m.follow_up_id = f.follow_up_id
$$;
COMMENT ON FUNCTION nothing_to_do(follow_ups) IS
    'Whether it was made of missed calls alone, each of which is known by now to have brought an order or complaint.';

CREATE OR REPLACE FUNCTION missing_fact(f follow_ups) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN f.state IN ('open', 'acknowledged') THEN
            CASE WHEN f.state = 'acknowledged' AND f.acknowledged_at IS NULL THEN 'when it was acknowledged'
                 WHEN num_nonnulls(f.proof, f.contacted_at, f.resolved_at, f.verified_at, f.closed_at, f.merged_into) > 0
                     THEN 'a clean slate: what was contacted, resolved, verified, closed or merged before is history' END
        WHEN f.state = 'closed' AND f.closed_at IS NULL THEN 'when it was closed'
        WHEN f.merged_into IS NOT NULL THEN
            CASE WHEN f.state <> 'closed' OR f.merged_into = f.follow_up_id THEN 'another one that stands for it' END
        WHEN f.state = 'closed' AND f.verified_at IS NULL AND nothing_to_do(f) THEN NULL
        WHEN f.proof IS NULL OR f.contacted_at IS NULL THEN 'proof that the retailer was contacted, and when'
        WHEN f.state = 'contacted' THEN NULL
        WHEN f.resolved_at IS NULL OR f.resolved_by_id IS NULL OR coalesce(btrim(f.resolution), '') = ''
            THEN 'who resolved it, when and how'
        WHEN f.state = 'resolved' THEN NULL
        WHEN f.verified_at IS NULL OR f.verified_by_id IS NULL THEN 'who verified it, and when'
        WHEN f.verified_by_id = f.resolved_by_id THEN 'somebody else: who resolved it does not verify it' END
$$;
COMMENT ON FUNCTION missing_fact(follow_ups) IS 'What a follow-up in its state must have and does not; null: nothing is missing.';

CREATE OR REPLACE FUNCTION guard_follow_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_missing text;
BEGIN
    NEW.revision := OLD.revision + 1;
    IF (NEW.branch_id, NEW.follow_up_id, NEW.complaint, NEW.raised_at)
        IS DISTINCT FROM (OLD.branch_id, OLD.follow_up_id, OLD.complaint, OLD.raised_at) THEN
        PERFORM refuse(409, 'illegal-move', 'what a follow-up promises, to which complaint and from when on, is never changed');
    END IF;
    IF NEW.state <> OLD.state THEN
        IF NEW.state <> ALL (moves_from(OLD.state)) THEN
            PERFORM refuse_move(OLD.state, NEW.state);
        ELSIF NEW.due_at <> OLD.due_at THEN
            PERFORM refuse_move(OLD.state, NEW.state, 'its clock would be set anew');
        ELSIF NEW.state = 'closed' AND OLD.state <> 'verified' AND NEW.merged_into IS NULL AND NOT nothing_to_do(NEW) THEN
            PERFORM refuse_move(OLD.state, NEW.state, 'only one that is merged into another is closed before it is verified');
        ELSIF NEW.state = 'open' AND OLD.state = 'acknowledged' AND NEW.owner_id IS NOT DISTINCT FROM OLD.owner_id THEN
            PERFORM refuse_move(OLD.state, NEW.state, 'only for a new owner');
        ELSIF NEW.state = 'open' AND OLD.state <> 'acknowledged' AND NEW.reopened <> OLD.reopened + 1 THEN
            PERFORM refuse_move(OLD.state, NEW.state, 'it is not counted as reopened');
        END IF;
    ELSIF NEW.proof IS DISTINCT FROM OLD.proof AND OLD.proof IS NOT NULL AND NEW.proof IS DISTINCT FROM 'proved' THEN
        PERFORM refuse(409, 'illegal-move', 'a contact that is known is not forgotten: reopen the follow-up instead');
    END IF;
    v_missing := missing_fact(NEW);
    IF v_missing IS NOT NULL THEN
        PERFORM refuse(409, 'illegal-move', format('a follow-up that is %s needs %s', NEW.state, v_missing));
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION guard_follow_up() IS
    'Refuses illegal moves (RB409 illegal-move, with what is possible from here) and adds one to the revision at every change.';
CREATE OR REPLACE TRIGGER legal_move BEFORE UPDATE ON follow_ups FOR EACH ROW EXECUTE FUNCTION guard_follow_up();

CREATE OR REPLACE FUNCTION note_history(p_branch integer, p_follow_up bigint, p_kind text, p_by integer,
                                        p_details jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql AS $$
    INSERT INTO follow_up_history (branch_id, follow_up_id, kind, by_person_id, details)
        VALUES (p_branch, p_follow_up, p_kind, p_by, jsonb_strip_nulls(coalesce(p_details, '{}')))
$$;
COMMENT ON FUNCTION note_history(integer, bigint, text, integer, jsonb) IS
    'One more line in a follow-up''s history: what kind of thing happened, by whom (null: the system itself), and what else is known.';
