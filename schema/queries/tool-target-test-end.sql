SELECT outcome, status, error FROM target_tests WHERE branch_id = $1 AND test_id = $2 AND finished_at IS NOT NULL
