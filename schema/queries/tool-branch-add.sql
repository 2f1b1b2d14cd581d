SELECT make_branch($1, $2, $3, $4, $5, $6)
