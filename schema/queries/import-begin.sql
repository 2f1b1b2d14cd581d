-- Memory for sorting and joining half a million rows; a plan is used once, so compiling it does not pay.
BEGIN;
SET LOCAL work_mem = '128MB';
SET LOCAL jit = off;
