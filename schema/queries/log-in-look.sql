SELECT password_hash, account_wait, address_wait FROM log_in_look($1, $2)
