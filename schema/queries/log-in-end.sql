SELECT account_wait, address_wait, account, role, person FROM log_in_end($1, $2, $3, $4, $5, $6, $7)
