SELECT retire_gateway($1, $2, $3)
