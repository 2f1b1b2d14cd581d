SELECT added, changed, removed, unchanged FROM import_retailers($1, $2, $3, $4)
