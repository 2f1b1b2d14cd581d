SELECT forget_feed($1::bigint::integer) AS forgotten
