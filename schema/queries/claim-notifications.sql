-- $1 most, $2 lease in seconds, $3 to $5 targets of which the daemon has enough, and how many more it would take, $6 messages
-- that the mail relay takes in a minute.
SELECT notification_id, branch_id, follow_up_id, target_id, lease, attempt, channel, address, sealed_secret, body, message, due
FROM claim_notifications($1::bigint::integer, make_interval(secs => $2::bigint), $3::integer[], $4::integer[], $5::integer[],
                         $6::bigint::integer)
