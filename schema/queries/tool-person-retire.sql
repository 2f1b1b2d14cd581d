SELECT retire_person($1, $2, $3)
