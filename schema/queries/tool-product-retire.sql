SELECT retire_product($1, $2, $3)
