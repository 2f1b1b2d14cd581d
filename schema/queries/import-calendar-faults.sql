SELECT line, field, reason, count(*) OVER () FROM import_calendar_faults($1, $2) ORDER BY line, field, reason LIMIT $3
