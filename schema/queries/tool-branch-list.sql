SELECT b.code, b.name, b.timezone, b.area_code, b.cycle_first_day, d.code AS duty_supervisor, b.session_idle, b.session_whole
FROM branches b LEFT JOIN people d ON d.branch_id = b.branch_id AND d.person_id = b.duty_supervisor_id ORDER BY b.code
