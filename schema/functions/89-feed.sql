-- The feed (0016): who writes it, how the daemons read it, and for whom. Triggers write it where people change things; calls
-- are written by take_calls, once a batch. Reading is in the order of 0016 and by place, "XID-FEED_ID" of the last row read.
--
-- Which rows a stream's owner sees is decided by the daemon (server/console/sight.c) from sight(), what the settings of 80-desk.sql
-- say of him, and from what read_feed gives of a subject: the same words as in the policies on follow_ups, retailers and calls
-- (0006). A test holds the two against each other.

-- A follow-up that moves to another owner may leave the sight of the one before, who must be told.
CREATE OR REPLACE FUNCTION feed_follow_ups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO feed (branch_id, topic, subject) SELECT branch_id, 'follow-up', follow_up_id FROM new_rows ORDER BY 1, 3;
    ELSE
        INSERT INTO feed (branch_id, topic, subject, person_id)
        SELECT n.branch_id, 'follow-up', n.follow_up_id, CASE WHEN o.owner_id IS DISTINCT FROM n.owner_id THEN o.owner_id END
        FROM new_rows n JOIN old_rows o USING (branch_id, follow_up_id) ORDER BY 1, 3;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION feed_follow_ups() IS 'New and changed follow-ups into the feed, a statement at a time.';
CREATE OR REPLACE TRIGGER feed_new AFTER INSERT ON follow_ups REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION feed_follow_ups();
CREATE OR REPLACE TRIGGER feed_changed AFTER UPDATE ON follow_ups REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION feed_follow_ups();

CREATE OR REPLACE FUNCTION feed_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feed (branch_id, topic, subject, person_id)
        SELECT branch_id, 'notification', inbox_id, person_id FROM new_rows ORDER BY inbox_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION feed_inbox() IS 'What was filed in inboxes into the feed.';
CREATE OR REPLACE TRIGGER feed_new AFTER INSERT ON inbox REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION feed_inbox();

CREATE OR REPLACE FUNCTION feed_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feed (branch_id, topic, subject) VALUES (NEW.branch_id, 'session', NEW.session_id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION feed_session() IS 'A session that was ended into the feed: its streams end in all daemons.';
CREATE OR REPLACE TRIGGER feed_ended AFTER UPDATE ON sessions FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION feed_session();

CREATE OR REPLACE FUNCTION feed_calls(p_skip integer[], p_branch integer[], p_event integer[], p_call text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO feed (branch_id, topic, subject)
    SELECT p_branch[x.event], 'call', x.call FROM unnest(p_event, p_call) AS x (event, call)
    WHERE x.event <> ALL (p_skip) GROUP BY 1, 3;
END $$;
COMMENT ON FUNCTION feed_calls(integer[], integer[], integer[], text[]) IS 'The calls of a batch into the feed; called by take_calls.';

-- Who asks, as the streams know him.
CREATE OR REPLACE FUNCTION sight() RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_object('branch', asker_branch(), 'account', asker_account(), 'person', asker_person(),
        'everything', asker_everything(), 'retailers', asker_everything() OR asker_role() = 'inspector', 'reports', asker_reports(),
        'through_retailers', asker_role() IN ('account_manager', 'market_manager'), 'area', asker_area(),
        'managers', (SELECT coalesce(json_agg(m ORDER BY m), '[]') FROM unnest(asker_managers()) AS m))
$$;
GRANT EXECUTE ON FUNCTION sight TO ringback_console;
COMMENT ON FUNCTION sight() IS 'What decides which rows who asks sees: see server/console/sight.h.';

CREATE OR REPLACE FUNCTION feed_end() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT pg_snapshot_xmin(pg_current_snapshot()) || '-0'
$$;
GRANT EXECUTE ON FUNCTION feed_end TO ringback_console;
COMMENT ON FUNCTION feed_end() IS 'The place behind all that can be read by now.';

CREATE OR REPLACE FUNCTION api_open_stream(p jsonb) RETURNS answer LANGUAGE sql STABLE AS $$
    SELECT answer_json(json_build_object('now', clock_timestamp(), 'place', feed_end(), 'session', asker_session(), 'sight', sight()))
$$;
GRANT EXECUTE ON FUNCTION api_open_stream TO ringback_console;
COMMENT ON FUNCTION api_open_stream(jsonb) IS 'Who opens a stream, and from where on; the daemon makes the stream of it.';

-- The conditions are those of enter(); a stream is no request and keeps no session alive.
CREATE OR REPLACE FUNCTION sights(p_branch integer[], p_session bigint[]) RETURNS TABLE (sight text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp ROWS 64 AS $$
DECLARE
    k record;
BEGIN
    FOR k IN
        SELECT x.branch, CASE WHEN s.ended_at IS NULL AND s.ends_at > now() AND s.seen_at + b.session_idle > now()
                                AND a.disabled_at IS NULL AND p.retired_at IS NULL THEN a.account_id END AS account
        FROM unnest(p_branch, p_session) WITH ORDINALITY AS x (branch, session, n)
        LEFT JOIN sessions s ON s.branch_id = x.branch AND s.session_id = x.session
        LEFT JOIN branches b ON b.branch_id = s.branch_id
        LEFT JOIN accounts a ON a.branch_id = s.branch_id AND a.account_id = s.account_id
        LEFT JOIN people p ON p.branch_id = a.branch_id AND p.person_id = a.person_id
        ORDER BY x.n
    LOOP
        sight := NULL;
        IF k.account IS NOT NULL THEN
            PERFORM enter_as(k.branch, k.account);
            sight := sight()::text;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION sights TO ringback_app;
COMMENT ON FUNCTION sights(integer[], bigint[]) IS 'sight() of whose sessions these are, in order; null: the session has ended.';

-- One row for each subject that changed behind the place, with what is true of it now, in order; behind them one without a
-- topic: its place is the next reading's, and "lost" says that rows behind the place are no longer there, "more" that there
-- are more. p_branch null: of all.
CREATE OR REPLACE FUNCTION read_feed(p_branch integer, p_place text, p_most integer)
RETURNS TABLE (branch_id integer, topic text, place text, subject text, people text, owner_id integer, manager_id integer,
               area_id integer, has_retailer boolean, report boolean, body text, seconds double precision, lost boolean, more boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp ROWS 16
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
    -- One statement, hence one snapshot: what is tidied away meanwhile is either read or known to be lost.
    RETURN QUERY
    WITH here AS MATERIALIZED (
        SELECT pg_snapshot_xmin(s) AS xmin, q.xid, q.id,
               q.xid > pg_snapshot_xmax(s) OR EXISTS (SELECT FROM feed_horizons h
                   WHERE h.xid >= q.xid AND (p_branch IS NULL OR h.branch_id = p_branch)) AS lost
        FROM pg_current_snapshot() AS s,
             (SELECT split_part(p_place, '-', 1)::xid8 AS xid, split_part(p_place, '-', 2)::bigint AS id) q
    ), rows AS MATERIALIZED (
        SELECT f.*, row_number() OVER (ORDER BY f.xid, f.feed_id) AS n
        FROM here
        CROSS JOIN branches b
        CROSS JOIN LATERAL (
            SELECT * FROM feed x WHERE x.branch_id = b.branch_id AND (x.xid, x.feed_id) > (here.xid, here.id) AND x.xid < here.xmin
            ORDER BY x.xid, x.feed_id LIMIT p_most) f
        WHERE NOT here.lost AND (p_branch IS NULL OR b.branch_id = p_branch)
        ORDER BY f.xid, f.feed_id LIMIT p_most
    ), news AS MATERIALIZED (
        SELECT r.branch_id, r.topic, r.subject, max(r.n) AS n, min(r.at) AS at,
               (array_agg(r.xid || '-' || r.feed_id ORDER BY r.n DESC))[1] AS place,
               array_agg(DISTINCT r.person_id) FILTER (WHERE r.person_id IS NOT NULL) AS people
        FROM rows r GROUP BY 1, 2, 3
    ), told AS (
        SELECT w.n, w.branch_id, w.topic, w.place, w.subject, w.people, w.at, f.owner_id, r.manager_id, r.area_id,
               r.retailer_id IS NOT NULL AS has_retailer, coalesce(f.kind = 'report', false) AS report,
               CASE WHEN f.follow_up_id IS NOT NULL THEN json_build_object(
                        'id', f.follow_up_id, 'complaint', f.complaint::text, 'kind', f.kind, 'state', f.state, 'owner', o.code,
                        'retailer', r.code, 'due_at', f.due_at, 'proof', f.proof, 'revision', f.revision)
                    WHEN c.call IS NOT NULL THEN json_build_object(
                        'id', c.call, 'state', (ARRAY['ringing', 'answered', 'ended'])[c.state], 'direction', c.direction,
                        'retailer', r.code, 'operator', e.code)
                    WHEN i.inbox_id IS NOT NULL THEN json_build_object(
                        'id', i.notification_id, 'follow_up', i.follow_up_id, 'type', m.type, 'step', m.step, 'filed_at', i.filed_at)
               END AS body
        FROM news w
        LEFT JOIN follow_ups f ON w.topic = 'follow-up' AND f.branch_id = w.branch_id
            AND f.follow_up_id = CASE WHEN w.topic = 'follow-up' THEN w.subject::bigint END
        LEFT JOIN calls c ON w.topic = 'call' AND c.branch_id = w.branch_id AND c.call = w.subject
        LEFT JOIN inbox i ON w.topic = 'notification' AND i.branch_id = w.branch_id AND i.person_id = w.people[1]
            AND i.inbox_id = CASE WHEN w.topic = 'notification' THEN w.subject::bigint END
        LEFT JOIN notifications m ON m.branch_id = i.branch_id AND m.follow_up_id = i.follow_up_id
            AND m.notification_id = i.notification_id
        LEFT JOIN retailers r ON r.branch_id = w.branch_id AND r.retailer_id = coalesce(f.retailer_id, c.retailer_id)
        LEFT JOIN people o ON o.branch_id = f.branch_id AND o.person_id = f.owner_id
        LEFT JOIN LATERAL (
            -- Whose desk it is: of several with one number nobody can say.
            SELECT min(p.code) AS code FROM person_phones h JOIN people p USING (branch_id, person_id)
            WHERE h.branch_id = c.branch_id AND h.phone = CASE c.direction WHEN 'inbound' THEN c.to_phone ELSE c.from_phone END
              AND p.retired_at IS NULL HAVING count(*) = 1) e ON c.call IS NOT NULL
    )
    SELECT q.branch_id, q.topic, q.place, q.subject, q.people, q.owner_id, q.manager_id, q.area_id, q.has_retailer, q.report,
           q.body, q.seconds, q.lost, q.more
    FROM (SELECT t.n, t.branch_id, t.topic, t.place, t.subject, t.people::text, t.owner_id, t.manager_id, t.area_id,
                 t.has_retailer, t.report, t.body::text,
                 extract(epoch FROM clock_timestamp() - t.at)::double precision AS seconds, NULL::boolean AS lost,
                 NULL::boolean AS more
          FROM told t
          UNION ALL
          SELECT NULL, NULL, NULL, coalesce((SELECT r.xid || '-' || r.feed_id FROM rows r WHERE r.n = p_most), here.xmin || '-0'),
                 NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, here.lost, EXISTS (SELECT FROM rows r WHERE r.n = p_most)
          FROM here) q
    ORDER BY q.n NULLS LAST;
END $$;
GRANT EXECUTE ON FUNCTION read_feed TO ringback_app;
COMMENT ON FUNCTION read_feed(integer, text, integer) IS 'What has changed behind a place of the feed, and of whom it is.';

CREATE OR REPLACE FUNCTION forget_feed(p_most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ringback, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    v_forgotten integer := 0;
BEGIN
    IF pg_try_advisory_xact_lock(hashtextextended('ringback.feed', 0)) THEN
        WITH old AS (
            SELECT f.ctid FROM branches b CROSS JOIN LATERAL (
                SELECT x.ctid, x.at FROM feed x WHERE x.branch_id = b.branch_id ORDER BY x.xid, x.feed_id LIMIT p_most) f
            WHERE f.at < now() - interval '1 hour' LIMIT p_most
        ), gone AS (
            DELETE FROM feed x WHERE x.ctid = ANY (ARRAY(SELECT ctid FROM old)) RETURNING x.branch_id, x.xid
        ), horizon AS (
            INSERT INTO feed_horizons AS h (branch_id, xid) SELECT g.branch_id, max(g.xid) FROM gone g GROUP BY 1 ORDER BY 1
            ON CONFLICT (branch_id) DO UPDATE SET xid = greatest(h.xid, excluded.xid)
        )
        SELECT count(*) INTO v_forgotten FROM gone;
    END IF;
    RETURN v_forgotten;
END $$;
GRANT EXECUTE ON FUNCTION forget_feed TO ringback_app;
COMMENT ON FUNCTION forget_feed(integer) IS 'Tidies away rows that are older than an hour, at the most so many; says how many.';
