-- Imports into one branch take turns. Intake never asks for this lock: it reads what is committed.
SELECT pg_advisory_xact_lock(x'72696d70'::integer, $1::integer)
