SELECT a.name AS user, a.role, p.code AS person, a.created_at, a.disabled_at
FROM accounts a LEFT JOIN people p ON p.branch_id = a.branch_id AND p.person_id = a.person_id
WHERE a.branch_id = $1 ORDER BY a.name
