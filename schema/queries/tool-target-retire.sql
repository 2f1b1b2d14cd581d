SELECT retire_target($1, $2, $3)
