SELECT password_hash, wait_seconds FROM log_in_look($1, $2)
