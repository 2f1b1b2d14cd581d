-- More ways to reach people than webhooks: robots of WeCom and DingTalk, e-mail, the console itself. What robots and mail
-- relays allow in a minute is kept in buckets, which all daemons share.

-- What is sealed: a webhook's signing secret, a robot's whole address (its key opens the robot) and, behind a line break, the
-- secret that signs for DingTalk. An e-mail address and the console have none.
ALTER TABLE targets
    ALTER COLUMN sealed_secret DROP NOT NULL,
    DROP CONSTRAINT targets_channel_check,
    ADD CONSTRAINT targets_channel_check CHECK (channel IN ('webhook', 'wecom', 'dingtalk', 'email', 'console')),
    ADD CONSTRAINT targets_secret_check CHECK ((sealed_secret IS NULL) = (channel IN ('email', 'console'))),
    ADD COLUMN bucket text,
    ADD CONSTRAINT targets_bucket_check CHECK ((bucket IS NOT NULL) = (channel IN ('wecom', 'dingtalk', 'email')));
CREATE INDEX targets_by_bucket ON targets (branch_id, bucket) WHERE retired_at IS NULL AND bucket IS NOT NULL;
COMMENT ON COLUMN targets.address IS 'As it may be shown: of a robot without its key, which is sealed.';
COMMENT ON COLUMN targets.sealed_secret IS 'What must stay secret of it, sealed under secret_key_file (libsodium secretbox: nonce, then box): a '
    'webhook''s signing secret; a robot''s address with its key and, on a second line, its signing secret.';
COMMENT ON COLUMN targets.bucket IS 'The robot or mailbox behind it: targets that share one share its limits and its digests; null: no limits, a message each.';
COMMENT ON COLUMN targets.retired_because IS '"removed", or "gone" (the receiver said so) and what it answered.';

CREATE TABLE buckets (
    branch_id  integer          NOT NULL REFERENCES branches,
    bucket     text             NOT NULL,
    tokens     double precision NOT NULL DEFAULT 'infinity',
    filled_at  timestamptz      NOT NULL DEFAULT now(),
    last_at    timestamptz,
    rest_until timestamptz,
    PRIMARY KEY (branch_id, bucket)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200);
COMMENT ON TABLE buckets IS 'What may still be sent to a robot, a mailbox or (bucket "email") the mail relay: one token a message, refilled by the '
    'database''s clock. Taken in the transaction that claims, so that no number of daemons exceeds a limit.';
COMMENT ON COLUMN buckets.tokens IS 'As of filled_at; more than the bucket holds counts as full.';
COMMENT ON COLUMN buckets.last_at IS 'When the latest message was claimed; the next one waits a little and takes all that has come meanwhile.';
COMMENT ON COLUMN buckets.rest_until IS 'The receiver has said that it is too much: nothing is sent before.';

-- The console as a channel: what is filed here waits for its person, at no cost to the outbox.
ALTER TABLE notifications
    DROP CONSTRAINT notifications_state_check,
    ADD CONSTRAINT notifications_state_check
        CHECK (state IN ('waiting', 'sending', 'inbox', 'delivered', 'failed', 'stranded', 'passed_on', 'cancelled'));
COMMENT ON COLUMN notifications.state IS 'inbox: its person has not seen it in the console yet; stranded: nobody in the line has a live target '
    'yet; passed_on: a successor was made for the next target.';

CREATE TABLE inbox (
    branch_id    integer     NOT NULL,
    person_id    integer     NOT NULL,
    inbox_id     bigint      GENERATED ALWAYS AS IDENTITY,
    follow_up_id bigint      NOT NULL,
    notification_id uuid     NOT NULL,
    filed_at     timestamptz NOT NULL DEFAULT now(),
    seen_at      timestamptz,
    withdrawn_at timestamptz,
    PRIMARY KEY (branch_id, person_id, inbox_id),
    FOREIGN KEY (branch_id, person_id) REFERENCES people,
    FOREIGN KEY (branch_id, follow_up_id, notification_id) REFERENCES notifications
);
CREATE INDEX inbox_unseen ON inbox (branch_id, person_id, notification_id) WHERE seen_at IS NULL AND withdrawn_at IS NULL;
COMMENT ON TABLE inbox IS 'Notifications whose target is the console, for the person who is to see them there.';
COMMENT ON COLUMN inbox.seen_at IS 'When his browser said that it shows it: only that is its delivery.';
COMMENT ON COLUMN inbox.withdrawn_at IS 'He left or uses the console no more before he saw it: it went on to somebody else.';

CREATE TABLE target_tests (
    branch_id  integer     NOT NULL,
    test_id    uuid        NOT NULL DEFAULT gen_random_uuid(),
    target_id  integer     NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT now(),
    asked_by   text        NOT NULL,
    body       text        NOT NULL,
    lease      bigint      NOT NULL DEFAULT 0,
    leased_until timestamptz,
    finished_at timestamptz,
    outcome    text        CHECK (outcome IN ('delivered', 'not_delivered', 'not_tried')),
    status     integer,
    error      text,
    PRIMARY KEY (branch_id, test_id),
    FOREIGN KEY (branch_id, target_id) REFERENCES targets,
    CHECK ((outcome IS NULL) = (finished_at IS NULL))
);
CREATE INDEX target_tests_open ON target_tests (branch_id, target_id) WHERE finished_at IS NULL;
CREATE INDEX target_tests_by_target ON target_tests (branch_id, target_id, asked_at);
COMMENT ON TABLE target_tests IS 'Messages sent to try a target out, each once, and what became of them.';
COMMENT ON COLUMN target_tests.outcome IS 'not_tried: no daemon took it in time.';

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['inbox', 'target_tests'] LOOP
        EXECUTE format('CREATE TRIGGER keep_rows BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_removal()', kept);
        EXECUTE format('CREATE TRIGGER keep_table BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_removal()', kept);
    END LOOP;
END $$;

-- Who has which targets: his own, and for those in charge everybody's. Never what is sealed.
GRANT SELECT (branch_id, target_id, person_id, channel, address, position, failures, paused_until, retired_at, retired_because,
              created_at, bucket) ON targets TO ringback_console;
GRANT SELECT (branch_id, bucket, last_at, rest_until) ON buckets TO ringback_console;
GRANT SELECT ON inbox TO ringback_console;
GRANT SELECT (branch_id, test_id, target_id, asked_at, asked_by, finished_at, outcome, status, error) ON target_tests TO ringback_console;
GRANT SELECT ON inbox, buckets, target_tests TO ringback_app;
DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['targets', 'buckets', 'inbox', 'target_tests'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('CREATE POLICY daemon ON %I FOR SELECT TO ringback_app USING (true)', v_table);
    END LOOP;
END $$;
CREATE POLICY his ON targets FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch())
    AND (person_id = (SELECT asker_person()) OR (SELECT asker_role()) IN ('supervisor', 'administrator')));
CREATE POLICY own_branch ON buckets FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()));
CREATE POLICY his ON inbox FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND person_id = (SELECT asker_person()));
CREATE POLICY his ON target_tests FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND EXISTS (
    SELECT FROM targets t WHERE t.branch_id = target_tests.branch_id AND t.target_id = target_tests.target_id));

-- Their results have grown.
DROP FUNCTION IF EXISTS claim_notifications(integer, interval, integer[], integer[], integer[]);
DROP FUNCTION IF EXISTS add_target(integer, text, text, text, bytea, text);
