-- Every active gateway with what is needed to check its credentials and to read its local numbers.
SELECT g.branch_id, g.gateway_id, g.name, g.sealed_key, b.area_code
FROM gateways g JOIN branches b USING (branch_id)
WHERE g.retired_at IS NULL AND NOT g.built_in
ORDER BY g.branch_id, g.gateway_id
