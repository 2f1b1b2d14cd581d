SELECT resend_notifications($1, $2, CASE WHEN $3::uuid IS NOT NULL THEN ARRAY[$3::uuid] END)
