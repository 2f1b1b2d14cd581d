-- Arrays, one item an attempt: branch, target, notification, lease, outcome, status, error, milliseconds, pause, rest.
SELECT what, branch_id, target_id, notification_id
FROM finish_attempts($1::integer[], $2::integer[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::text[],
                     $8::integer[], $9::bigint[], $10::bigint[])
