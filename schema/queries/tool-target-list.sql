SELECT t.target_id AS target, p.code AS person, t.position, t.channel, t.address, t.failures,
       greatest(t.paused_until, b.rest_until) AS paused_until, t.retired_at, t.retired_because
FROM targets t JOIN people p USING (branch_id, person_id) LEFT JOIN buckets b USING (branch_id, bucket)
WHERE t.branch_id = $1 ORDER BY (t.retired_at IS NOT NULL), p.code, t.position, t.target_id
