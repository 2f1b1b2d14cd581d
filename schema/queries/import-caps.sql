SELECT added, changed, removed, unchanged FROM import_caps($1, $2, $3, $4)
