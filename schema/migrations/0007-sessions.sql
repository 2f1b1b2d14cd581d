-- Log-ins that failed, counted where all daemons see them. Before somebody is logged in nobody knows his branch, so these
-- rows are of none; they are no history either: they are forgotten after an hour without a failure.
CREATE TABLE login_failures (
    kind          text        NOT NULL CHECK (kind IN ('account', 'address')),
    key_hash      bytea       NOT NULL CHECK (octet_length(key_hash) = 32),
    failures      integer     NOT NULL CHECK (failures > 0),
    failed_at     timestamptz NOT NULL,
    blocked_until timestamptz,
    PRIMARY KEY (kind, key_hash)
);
CREATE INDEX login_failures_by_time ON login_failures (failed_at);
COMMENT ON TABLE login_failures IS 'Failed log-ins in a row, by the name that was tried and by address (IPv6: its /64); of no branch.';
COMMENT ON COLUMN login_failures.key_hash IS 'SHA-256 of the name or network: people type passwords where names belong.';
COMMENT ON COLUMN login_failures.blocked_until IS 'No try is looked at before.';
CREATE INDEX sessions_by_end ON sessions (branch_id, ends_at);
