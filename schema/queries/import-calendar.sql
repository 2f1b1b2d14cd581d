SELECT added, changed, removed, unchanged FROM import_calendar($1, $2, $3, $4)
