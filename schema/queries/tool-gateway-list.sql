SELECT name, created_at, retired_at FROM gateways WHERE branch_id = $1 AND NOT built_in ORDER BY retired_at NULLS FIRST, name
