SELECT name, created_at, retired_at FROM gateways WHERE branch_id = $1 ORDER BY retired_at NULLS FIRST, name
