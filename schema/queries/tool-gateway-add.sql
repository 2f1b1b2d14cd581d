SELECT add_gateway($1, $2, $3, $4)
