SELECT added, changed, removed, unchanged FROM import_products($1, $2, $3, $4)
