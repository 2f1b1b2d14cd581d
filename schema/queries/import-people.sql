SELECT added, changed, removed, unchanged FROM import_people($1, $2, $3, $4)
