-- What is not getting through, the oldest first. The last attempt says why.
SELECT n.notification_id AS notification, n.state, n.type, n.follow_up_id AS follow_up, a.code AS addressee, n.attempts,
       n.created_at, l.status AS last_status, l.error AS last_error
FROM notifications n
LEFT JOIN people a ON a.branch_id = n.branch_id AND a.person_id = n.addressee_id
LEFT JOIN LATERAL (SELECT status, error FROM notification_attempts t
    WHERE t.branch_id = n.branch_id AND t.notification_id = n.notification_id ORDER BY t.attempt DESC LIMIT 1) l ON true
WHERE n.branch_id = $1 AND n.state IN ('failed', 'stranded') ORDER BY n.created_at, n.notification_id LIMIT 1000
