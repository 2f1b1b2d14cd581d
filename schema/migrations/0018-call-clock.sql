-- Whether a call's end has a time of the gateway's own: only then its beginning can be counted back from it.
ALTER TABLE calls ADD COLUMN end_timed boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN calls.end_timed IS 'Whether the ended event said when it happened; else ended_at is when it arrived.';
