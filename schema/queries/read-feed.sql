-- $1 the branch, 0 for all; $2 the place behind which; $3 most rows. Behind the news comes one row without a topic.
SELECT * FROM read_feed(nullif($1::bigint::integer, 0), $2::text, $3::bigint::integer)
