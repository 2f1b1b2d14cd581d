SELECT branch_id, code, name, area_code FROM branches ORDER BY code
