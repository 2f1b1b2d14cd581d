-- The same lock as migrate-try-lock, waited for.
SELECT pg_advisory_lock(x'72696e676261636b'::bigint)
