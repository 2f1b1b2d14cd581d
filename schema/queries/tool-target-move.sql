SELECT move_target($1, $2, $3, $4)
