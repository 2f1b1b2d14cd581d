-- Proof and silence: tries to reach a retailer, who is away and who stands in for him, and the secret behind the links by
-- which people acknowledge.

-- Neither column of the key ever changes, so that the events of a call go on writing its row alone.
CREATE INDEX calls_by_callee ON calls (branch_id, to_phone) WHERE direction = 'outbound';
CREATE INDEX complaints_of_unknown ON complaints (branch_id, caller_phone) WHERE retailer_id IS NULL AND caller_phone IS NOT NULL;

CREATE TABLE follow_up_tries (
    branch_id    integer     NOT NULL,
    try_id       bigint      GENERATED ALWAYS AS IDENTITY,
    follow_up_id bigint      NOT NULL,
    at           timestamptz NOT NULL,
    call         text,
    outcome      text        NOT NULL CHECK (outcome IN ('answered', 'short', 'busy', 'no-answer', 'failed', 'recorded',
                                                         'wrong-number', 'refused')),
    seconds      integer     CHECK (seconds >= 0),
    by_person_id integer,
    actor        text        NOT NULL DEFAULT 'telephone',
    note         text        CHECK (note <> ''),
    noted_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, try_id),
    FOREIGN KEY (branch_id, follow_up_id) REFERENCES follow_ups,
    FOREIGN KEY (branch_id, by_person_id) REFERENCES people,
    CHECK (call IS NOT NULL OR actor <> 'telephone')
);
CREATE INDEX follow_up_tries_by_follow_up ON follow_up_tries (branch_id, follow_up_id, at);
CREATE UNIQUE INDEX follow_up_tries_by_call ON follow_up_tries (branch_id, follow_up_id, call) WHERE call IS NOT NULL;
COMMENT ON TABLE follow_up_tries IS 'Attempts to reach the retailer that proved nothing: what the telephone reported, and what people entered; only grows.';
COMMENT ON COLUMN follow_up_tries.at IS 'When the call ended, or what was entered by hand; noted_at: when it came to be known.';
COMMENT ON COLUMN follow_up_tries.outcome IS '"answered": long enough, but by a number that several shops with open follow-ups share; '
    '"recorded": reached, by his own word.';
COMMENT ON COLUMN follow_up_tries.actor IS '"telephone", or the account that entered it.';

CREATE TABLE absences (
    branch_id  integer     NOT NULL,
    absence_id bigint      GENERATED ALWAYS AS IDENTITY,
    person_id  integer     NOT NULL,
    deputy_id  integer,
    starts_at  timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL,
    reason     text        CHECK (reason <> ''),
    made_by    text        NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    cancelled_at timestamptz,
    cancelled_by text,
    PRIMARY KEY (branch_id, absence_id),
    FOREIGN KEY (branch_id, person_id) REFERENCES people,
    FOREIGN KEY (branch_id, deputy_id) REFERENCES people,
    CHECK (starts_at < ends_at),
    CHECK (deputy_id <> person_id),
    CHECK ((cancelled_at IS NULL) = (cancelled_by IS NULL))
);
CREATE INDEX absences_by_person ON absences (branch_id, person_id, ends_at) WHERE cancelled_at IS NULL;
CREATE INDEX absences_by_end ON absences (branch_id, ends_at) WHERE cancelled_at IS NULL;
COMMENT ON TABLE absences IS 'Who is away from when to when, and who stands in for him; one that was called off stays, with cancelled_at.';
COMMENT ON COLUMN absences.deputy_id IS 'Null: his usual deputy (people.deputy_id), and without one whoever is next up the line.';

CREATE TABLE acknowledge_keys (
    branch_id integer PRIMARY KEY REFERENCES branches,
    secret    bytea   NOT NULL CHECK (octet_length(secret) = 32)
);
COMMENT ON TABLE acknowledge_keys IS 'The secret that makes a branch''s acknowledge links; nobody but the owner reads it. '
    'A new one ends every link that was sent.';

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['follow_up_tries', 'absences', 'acknowledge_keys'] LOOP
        EXECUTE format('CREATE TRIGGER keep_rows BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('CREATE TRIGGER keep_table BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
    END LOOP;
END $$;
CREATE TRIGGER keep_values BEFORE UPDATE ON follow_up_tries FOR EACH ROW EXECUTE FUNCTION refuse_change();
GRANT SELECT ON follow_up_tries, absences TO ringback_console;
CREATE POLICY his ON follow_up_tries FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND EXISTS (
    SELECT FROM follow_ups f WHERE f.branch_id = follow_up_tries.branch_id AND f.follow_up_id = follow_up_tries.follow_up_id));
CREATE POLICY own_branch ON absences FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()));

-- gen_random_uuid() is from the operating system's generator: 122 random bits each, four of them hashed.
INSERT INTO acknowledge_keys (branch_id, secret)
    SELECT branch_id, sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
                             || uuid_send(gen_random_uuid()))
    FROM branches;
