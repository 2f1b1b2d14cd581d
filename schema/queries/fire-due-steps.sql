-- $1 the cursor or null, $2 most. Behind the steps comes one row without an action.
SELECT action, skipped, lateness, (extract(epoch FROM looked_until) * 1000000)::bigint AS looked_until_us, next_in
FROM fire_due_steps($1::timestamptz, $2::bigint::integer)
