SELECT changed, wait_seconds FROM password_change($1, $2, $3, $4, $5)
