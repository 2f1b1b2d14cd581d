SELECT retire_retailer($1, $2, $3)
