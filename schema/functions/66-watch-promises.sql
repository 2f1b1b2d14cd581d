-- How the promises of each branch stand, for the metrics of the daemons. No personal data: counts and one age. Asked every few
-- seconds by every daemon, hence from indexes alone where much may wait; what nobody may know of (reports) is in the sums,
-- which say nothing of it.

DROP FUNCTION IF EXISTS watch_promises();
CREATE FUNCTION watch_promises()
RETURNS TABLE (branch text, open bigint, overdue bigint, due_soon bigint, unacknowledged bigint, worst_seconds double precision,
               kept bigint, late bigint, proved bigint, recorded bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp SET enable_seqscan = off SET jit = off AS $$
    SELECT b.code, w.open, w.overdue, w.due_soon, w.unacknowledged, coalesce(greatest(0, extract(epoch FROM now() - w.first_due))::double precision, 0),
           k.kept, k.late, k.proved, k.recorded
    FROM branches b
    CROSS JOIN LATERAL (
        SELECT count(*) AS open, count(*) FILTER (WHERE f.due_at <= now()) AS overdue,
               count(*) FILTER (WHERE f.due_at > now() AND f.due_at <= now() + interval '1 hour') AS due_soon,
               count(*) FILTER (WHERE f.state = 'open') AS unacknowledged, min(f.due_at) AS first_due
        FROM follow_ups f WHERE f.branch_id = b.branch_id AND f.state IN ('open', 'acknowledged')) w
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE f.contacted_at <= f.due_at) AS kept, count(*) FILTER (WHERE f.contacted_at > f.due_at) AS late,
               count(*) FILTER (WHERE f.proof = 'proved') AS proved, count(*) FILTER (WHERE f.proof = 'recorded') AS recorded
        FROM follow_ups f WHERE f.branch_id = b.branch_id AND f.contacted_at > now() - interval '24 hours' AND f.merged_into IS NULL) k
$$;
REVOKE EXECUTE ON FUNCTION watch_promises FROM PUBLIC;
GRANT EXECUTE ON FUNCTION watch_promises TO ringback_app;
COMMENT ON FUNCTION watch_promises() IS 'Of each branch: promises that wait now, and those whose retailer was reached in the last 24 hours.';
