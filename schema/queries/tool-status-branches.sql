-- One row a branch. Overdue: the time is over and nobody has reached the retailer.
SELECT b.code, b.name,
       (SELECT count(*) FROM people p WHERE p.branch_id = b.branch_id AND p.retired_at IS NULL) AS people,
       (SELECT count(*) FROM retailers r WHERE r.branch_id = b.branch_id AND r.retired_at IS NULL) AS retailers,
       (SELECT count(*) FROM products p WHERE p.branch_id = b.branch_id AND p.retired_at IS NULL) AS products,
       (SELECT count(*) FROM caps c WHERE c.branch_id = b.branch_id) AS caps,
       (SELECT count(*) FROM gateways g WHERE g.branch_id = b.branch_id AND g.retired_at IS NULL
            AND NOT g.built_in) AS gateways,
       (SELECT count(*) FROM targets t WHERE t.branch_id = b.branch_id AND t.retired_at IS NULL) AS targets,
       f.follow_ups, n.outbox
FROM branches b
CROSS JOIN LATERAL (
    SELECT json_build_object('open', count(*), 'overdue', count(*) FILTER (WHERE f.state IN ('open', 'acknowledged')
        AND f.due_at < now()), 'without_owner', count(*) FILTER (WHERE f.owner_id IS NULL)) AS follow_ups
    FROM follow_ups f WHERE f.branch_id = b.branch_id AND f.state <> 'closed') f
CROSS JOIN LATERAL (
    SELECT json_object_agg(s.state, coalesce(n.n, 0) ORDER BY s.place) AS outbox
    FROM unnest('{waiting,sending,delivered,failed,stranded,passed_on,cancelled}'::text[]) WITH ORDINALITY s (state, place)
    LEFT JOIN (SELECT state, count(*) AS n FROM notifications WHERE branch_id = b.branch_id GROUP BY state) n
        ON n.state = s.state) n
WHERE $1::text IS NULL OR b.code = $1
ORDER BY b.code
