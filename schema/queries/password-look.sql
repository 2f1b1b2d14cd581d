SELECT password_hash, wait_seconds FROM password_look($1, $2)
