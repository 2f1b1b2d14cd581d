-- The gateway whose key signs what the tool sends: the named one, else the branch's only one in use.
SELECT name, sealed_key FROM gateways
WHERE branch_id = $1 AND retired_at IS NULL AND NOT built_in AND ($2::text IS NULL OR name = $2) ORDER BY name
