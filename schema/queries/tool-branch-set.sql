SELECT set_branch($1, $2, $3, $4, $5, $6, $9), set_branch_sessions($1, $7, $8, $9)
