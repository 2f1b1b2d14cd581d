SELECT sight FROM sights($1::integer[], $2::bigint[])
