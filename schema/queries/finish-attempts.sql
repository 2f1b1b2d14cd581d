-- Arrays, one item an attempt: branch, target, follow-up, notification, lease, outcome, status, error, milliseconds, pause, rest.
SELECT what, branch_id, target_id, notification_id
FROM finish_attempts($1::integer[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::integer[], $8::text[],
                     $9::integer[], $10::bigint[], $11::bigint[])
