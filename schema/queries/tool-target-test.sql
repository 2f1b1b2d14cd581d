SELECT test_target($1, $2, $3)
