-- The feed behind the console's live updates: what has changed, not how. A row is written in the transaction of its cause and
-- read by every daemon that has streams open; what is true of its subject, and who may see it, is looked up when it is told.
--
-- Numbers of sequences, and times, are not in the order of commits. So a row carries its transaction's id and is read only once
-- every transaction with a smaller one has ended: from then on nothing can appear before it, and (xid, feed_id) is an order in
-- which a reader who remembers his place misses nothing.

-- No foreign key: the subject is there, since it is what wrote the row, and intake would pay for the check. Ids that a reader
-- must see in their order are the key alone: a second index would be half the cost of a row.
CREATE TABLE feed (
    branch_id integer     NOT NULL,
    xid       xid8        NOT NULL DEFAULT pg_current_xact_id(),
    feed_id   bigint      GENERATED ALWAYS AS IDENTITY,
    at        timestamptz NOT NULL DEFAULT now(),
    topic     text        NOT NULL CHECK (topic IN ('follow-up', 'call', 'notification', 'session')),
    subject   text        NOT NULL,
    person_id integer,
    PRIMARY KEY (branch_id, xid, feed_id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.5);
COMMENT ON TABLE feed IS 'What changed within the last hour, for the console''s streams; no history: tidied away.';
COMMENT ON COLUMN feed.subject IS 'The follow-up''s id, the call, the id of a row of the inbox, or of a session that was ended.';
COMMENT ON COLUMN feed.person_id IS 'Of a follow-up: who was its owner until now, when it has another one; of a notification: whose it is.';

CREATE TABLE feed_horizons (
    branch_id integer PRIMARY KEY REFERENCES branches,
    xid       xid8    NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE feed_horizons IS 'Up to which transaction rows of a branch''s feed were tidied away: who has read less has a gap.';

ALTER TABLE feed ENABLE ROW LEVEL SECURITY;
ALTER TABLE feed_horizons ENABLE ROW LEVEL SECURITY;
