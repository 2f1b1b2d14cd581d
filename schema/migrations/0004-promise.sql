-- The promise and how people hear of it: policies, follow-ups with steps and history, targets, notifications, audit.
--
-- The indexes of the queues (steps that are due, notifications that wait or are being sent) are not deduplicated: the entry of
-- a row that was claimed is dead, and the next look marks it so and passes over it from then on; one that shares its list with
-- others of an equal key, as a batch makes them, could only be marked when all of them are dead, and every look until the next
-- VACUUM would visit all their rows.

CREATE TABLE policies (
    branch_id   integer     NOT NULL REFERENCES branches,
    policy_id   integer     GENERATED ALWAYS AS IDENTITY,
    version     integer     NOT NULL DEFAULT 1,
    name        text        NOT NULL,
    kind        text        CHECK (kind IN ('complaint', 'opinion', 'request', 'suggestion', 'inquiry', 'report')),
    class       text        CHECK (class IN ('key', 'ordinary')),
    deadline    interval    NOT NULL CHECK (deadline > interval '0'),
    valid_from  timestamptz NOT NULL DEFAULT now(),
    valid_until timestamptz,
    PRIMARY KEY (branch_id, policy_id)
);
COMMENT ON TABLE policies IS 'How soon whom to call back; null conditions mean any, the most conditions win. Versioned: a follow-up keeps its row.';
COMMENT ON COLUMN policies.deadline IS 'From raised_at to due_at by the wall clock, nights and holidays counted.';

CREATE TABLE policy_steps (
    branch_id integer  NOT NULL,
    policy_id integer  NOT NULL,
    step      text     NOT NULL CHECK (step ~ '^[a-z0-9-]+$'),
    action    text     NOT NULL CHECK (action IN ('reminded', 'overdue', 'escalated')),
    share     numeric  NOT NULL CHECK (share >= 0),
    plus      interval NOT NULL DEFAULT interval '0',
    whom      text     NOT NULL CHECK (whom IN ('owner', 'market_manager', 'duty_supervisor')),
    PRIMARY KEY (branch_id, policy_id, step),
    FOREIGN KEY (branch_id, policy_id) REFERENCES policies
);
COMMENT ON TABLE policy_steps IS 'The ladder of a policy: at raised_at + share × deadline + plus, this is done to whom.';
COMMENT ON COLUMN policy_steps.share IS 'Part of the deadline that has passed: 0.5 is half of it, 1 is the deadline itself.';

CREATE TABLE follow_ups (
    branch_id    integer     NOT NULL REFERENCES branches,
    follow_up_id bigint      GENERATED ALWAYS AS IDENTITY,
    complaint    bigint      NOT NULL,
    retailer_id  integer,
    owner_id     integer,
    policy_id    integer     NOT NULL,
    state        text        NOT NULL DEFAULT 'open'
                 CHECK (state IN ('open', 'acknowledged', 'contacted', 'resolved', 'verified', 'closed')),
    raised_at    timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    proof        text        CHECK (proof IN ('recorded', 'proved')),
    created_at   timestamptz NOT NULL DEFAULT now(),
    closed_at    timestamptz,
    PRIMARY KEY (branch_id, follow_up_id),
    UNIQUE (branch_id, complaint),
    FOREIGN KEY (branch_id, complaint) REFERENCES complaints,
    FOREIGN KEY (branch_id, retailer_id) REFERENCES retailers,
    FOREIGN KEY (branch_id, owner_id) REFERENCES people,
    FOREIGN KEY (branch_id, policy_id) REFERENCES policies
);
CREATE INDEX follow_ups_by_owner ON follow_ups (branch_id, owner_id, due_at) WHERE state <> 'closed';
CREATE INDEX follow_ups_by_retailer ON follow_ups (branch_id, retailer_id) WHERE state <> 'closed';
COMMENT ON TABLE follow_ups IS 'The promise (跟进) that a complaint creates: who must call back, by when.';
COMMENT ON COLUMN follow_ups.complaint IS 'Reference of the complaint that made it.';
COMMENT ON COLUMN follow_ups.owner_id IS 'Null only when the branch has neither a manager for it nor an active supervisor.';
COMMENT ON COLUMN follow_ups.proof IS 'How the contact is known: recorded by hand, or proved by the telephone itself.';

CREATE TABLE follow_up_history (
    branch_id    integer     NOT NULL,
    history_id   bigint      GENERATED ALWAYS AS IDENTITY,
    follow_up_id bigint      NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    kind         text        NOT NULL,
    by_person_id integer,
    details      jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (branch_id, history_id),
    FOREIGN KEY (branch_id, follow_up_id) REFERENCES follow_ups,
    FOREIGN KEY (branch_id, by_person_id) REFERENCES people
);
CREATE INDEX follow_up_history_by_follow_up ON follow_up_history (branch_id, follow_up_id, history_id);
COMMENT ON TABLE follow_up_history IS 'Everything that happened to a follow-up; only grows.';
COMMENT ON COLUMN follow_up_history.by_person_id IS 'Null: the system itself.';

CREATE TABLE follow_up_steps (
    branch_id    integer     NOT NULL,
    follow_up_id bigint      NOT NULL,
    step         text        NOT NULL,
    action       text        NOT NULL CHECK (action IN ('reminded', 'overdue', 'escalated')),
    whom         text        NOT NULL CHECK (whom IN ('owner', 'market_manager', 'duty_supervisor')),
    due_at       timestamptz NOT NULL,
    fired_at     timestamptz,
    skipped      text,
    PRIMARY KEY (branch_id, follow_up_id, step),
    FOREIGN KEY (branch_id, follow_up_id) REFERENCES follow_ups
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
CREATE INDEX follow_up_steps_due ON follow_up_steps (due_at) WITH (deduplicate_items = off) WHERE fired_at IS NULL;
COMMENT ON TABLE follow_up_steps IS 'The ladder of one follow-up with exact times; the clock claims rows whose time has come.';
COMMENT ON COLUMN follow_up_steps.fired_at IS 'When it was dealt with, notified or skipped; minus due_at it is the lateness.';
COMMENT ON COLUMN follow_up_steps.skipped IS 'Why nobody was notified: "late" (already past when the event arrived), "closed", "contacted", '
    'or "failed" (it cannot be fired; the log says why).';

CREATE TABLE targets (
    branch_id  integer     NOT NULL,
    target_id  integer     GENERATED ALWAYS AS IDENTITY,
    person_id  integer     NOT NULL,
    channel    text        NOT NULL CHECK (channel IN ('webhook')),
    address    text        NOT NULL CHECK (address <> ''),
    sealed_secret bytea    NOT NULL,
    position   smallint    NOT NULL DEFAULT 1,
    failures   integer     NOT NULL DEFAULT 0,
    paused_until timestamptz,
    retired_at timestamptz,
    retired_because text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, target_id),
    FOREIGN KEY (branch_id, person_id) REFERENCES people
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200);
CREATE UNIQUE INDEX targets_live ON targets (branch_id, person_id, channel, address) WHERE retired_at IS NULL;
COMMENT ON TABLE targets IS 'Where notifications for a person go, in the order of position.';
COMMENT ON COLUMN targets.sealed_secret IS 'The signing secret, sealed under secret_key_file (libsodium secretbox: nonce, then box).';
COMMENT ON COLUMN targets.failures IS 'Failed attempts in a row: the breaker''s count.';
COMMENT ON COLUMN targets.paused_until IS 'The breaker or the target''s own Retry-After: nothing is sent before.';
COMMENT ON COLUMN targets.retired_because IS '"gone" (it answered 410) or "removed".';

CREATE TABLE notifications (
    notification_id uuid     NOT NULL DEFAULT gen_random_uuid(),
    branch_id    integer     NOT NULL,
    follow_up_id bigint      NOT NULL,
    type         text        NOT NULL,
    step         text        NOT NULL,
    addressee_id integer,
    recipient_id integer,
    target_id    integer,
    body         text        NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting'
                 CHECK (state IN ('waiting', 'sending', 'delivered', 'failed', 'stranded', 'passed_on', 'cancelled')),
    attempts     integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease        bigint      NOT NULL DEFAULT 0,
    leased_until timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    give_up_at   timestamptz NOT NULL DEFAULT now() + interval '3 days',
    finished_at  timestamptz,
    passed_on_from uuid,
    PRIMARY KEY (branch_id, follow_up_id, notification_id),
    FOREIGN KEY (branch_id, follow_up_id) REFERENCES follow_ups,
    FOREIGN KEY (branch_id, addressee_id) REFERENCES people,
    FOREIGN KEY (branch_id, recipient_id) REFERENCES people,
    FOREIGN KEY (branch_id, target_id) REFERENCES targets,
    CHECK ((state = 'stranded') = (target_id IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
CREATE INDEX notifications_waiting ON notifications (branch_id, target_id, next_attempt_at) WITH (deduplicate_items = off)
    WHERE state = 'waiting';
CREATE INDEX notifications_sending ON notifications (branch_id, target_id, leased_until) WITH (deduplicate_items = off)
    WHERE state = 'sending';
CREATE INDEX notifications_stranded ON notifications (branch_id, created_at) WHERE state IN ('stranded', 'failed');
COMMENT ON TABLE notifications IS 'The outbox: a row is made in the transaction of its cause and delivered at least once.';
COMMENT ON COLUMN notifications.notification_id IS 'The event''s id and the webhook-id of every attempt. Unique by itself; the key '
    'begins with the follow-up, so that one index serves both: each change of state writes every index.';
COMMENT ON COLUMN notifications.addressee_id IS 'Whom the step is meant for; recipient_id is who really gets it, up the line when the first has no live target.';
COMMENT ON COLUMN notifications.state IS 'stranded: nobody in the line has a live target yet; passed_on: a successor was made for the next target.';
COMMENT ON COLUMN notifications.body IS 'The bytes of every attempt.';
COMMENT ON COLUMN notifications.lease IS 'Fencing token, one more at each claim: an outcome counts only with the current one.';
COMMENT ON COLUMN notifications.give_up_at IS 'From then on it is listed as failed instead of being tried again.';

CREATE TABLE notification_attempts (
    branch_id  integer     NOT NULL,
    notification_id uuid   NOT NULL,
    attempt    integer     NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    milliseconds integer   NOT NULL CHECK (milliseconds >= 0),
    status     integer,
    error      text,
    PRIMARY KEY (branch_id, notification_id, attempt)
);
COMMENT ON TABLE notification_attempts IS 'Every try to deliver, with what the target answered; only grows. No foreign key: '
    'finish_attempts inserts what its update of notifications returned, and the check would write each of those rows again.';
COMMENT ON COLUMN notification_attempts.status IS 'HTTP status; null when there was no answer, then error says why.';

CREATE TABLE accounts (
    branch_id  integer     NOT NULL REFERENCES branches,
    account_id integer     GENERATED ALWAYS AS IDENTITY,
    name       text        NOT NULL UNIQUE CHECK (name <> ''),
    role       text        NOT NULL CHECK (role IN ('operator', 'account_manager', 'market_manager', 'supervisor',
                                                    'administrator')),
    person_id  integer,
    password_hash text     NOT NULL,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, account_id),
    FOREIGN KEY (branch_id, person_id) REFERENCES people
);
COMMENT ON TABLE accounts IS 'Who may log in to the console, with which role and as which person.';
COMMENT ON COLUMN accounts.password_hash IS 'Argon2id in the encoded form of libsodium (19 MiB, two passes).';

CREATE TABLE audit_log (
    branch_id integer     NOT NULL,
    audit_id  bigint      GENERATED ALWAYS AS IDENTITY,
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text        NOT NULL,
    action    text        NOT NULL,
    subject   text        NOT NULL,
    details   jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (branch_id, audit_id)
);
CREATE INDEX audit_log_by_time ON audit_log (branch_id, at);
COMMENT ON TABLE audit_log IS 'Who did what: imports, keys, targets, accounts, refused conflicts; only grows.';
COMMENT ON COLUMN audit_log.actor IS 'The account, the gateway ("gateway:NAME"), or the operating system''s user of the tool ("tool:USER").';
