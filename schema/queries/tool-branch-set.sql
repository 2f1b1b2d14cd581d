SELECT set_branch($1, $2, $3, $4, $5, $6, $7)
