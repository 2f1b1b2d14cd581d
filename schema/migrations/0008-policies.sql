-- Policies as data, the branch's calendar, and calls that reached nobody at work.
--
-- A policy is never rewritten: a change ends its row (valid_until) and makes the next version. A calendar likewise: each is a
-- whole of its own, so that a deadline is explained by the calendar it was counted with.

ALTER TABLE policies
    ADD COLUMN replaces_id integer,
    ADD COLUMN made_by text NOT NULL DEFAULT 'system',
    ADD FOREIGN KEY (branch_id, replaces_id) REFERENCES policies;
COMMENT ON COLUMN policies.replaces_id IS 'The version before this one.';
COMMENT ON COLUMN policies.category IS 'Null conditions mean any; severity means this one and up.';
CREATE UNIQUE INDEX policies_in_force ON policies (branch_id, name) WHERE valid_until IS NULL;

ALTER TABLE policy_steps
    DROP CONSTRAINT policy_steps_action_check,
    DROP CONSTRAINT policy_steps_whom_check,
    ADD CONSTRAINT policy_steps_action_check
        CHECK (action IN ('reminded', 'overdue', 'escalated', 'promised', 'unacknowledged', 'request')),
    ADD CONSTRAINT policy_steps_whom_check
        CHECK (whom IN ('owner', 'deputy', 'market_manager', 'duty_supervisor', 'requested', 'next_channel')),
    ADD COLUMN channels text[] CHECK (channels <> '{}'),
    ADD COLUMN clock text NOT NULL DEFAULT 'wall' CHECK (clock IN ('wall', 'work'));
COMMENT ON COLUMN policy_steps.channels IS 'By which of his channels he is told; null: all.';
COMMENT ON COLUMN policy_steps.clock IS 'wall: share is of deadline; work: of work_deadline, and all of it is counted in working time.';

ALTER TABLE follow_up_steps
    DROP CONSTRAINT follow_up_steps_action_check,
    DROP CONSTRAINT follow_up_steps_whom_check,
    ADD CONSTRAINT follow_up_steps_action_check
        CHECK (action IN ('reminded', 'overdue', 'escalated', 'promised', 'unacknowledged', 'request')),
    ADD CONSTRAINT follow_up_steps_whom_check
        CHECK (whom IN ('owner', 'deputy', 'market_manager', 'duty_supervisor', 'requested', 'next_channel')),
    ADD COLUMN channels text[] CHECK (channels <> '{}');
COMMENT ON COLUMN follow_up_steps.channels IS 'By which of his channels he is told; null: all.';

CREATE TABLE calendars (
    branch_id   integer     NOT NULL REFERENCES branches,
    calendar_id integer     GENERATED ALWAYS AS IDENTITY,
    timezone    text        NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    made_by     text        NOT NULL,
    counted_from  date      NOT NULL,
    counted_until date      NOT NULL,
    PRIMARY KEY (branch_id, calendar_id)
);
COMMENT ON TABLE calendars IS 'When a branch works, one whole version each: hours by weekday, and days that are otherwise.';
COMMENT ON COLUMN calendars.timezone IS 'The branch''s when it was made; another one makes another version.';
COMMENT ON COLUMN calendars.counted_from IS 'work_spans holds the days from here to before counted_until, which moves on.';

CREATE TABLE calendar_hours (
    branch_id   integer  NOT NULL,
    calendar_id integer  NOT NULL,
    weekday     smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    valid_from  date     NOT NULL DEFAULT '-infinity',
    begins      time[]   NOT NULL,
    ends        time[]   NOT NULL,
    PRIMARY KEY (branch_id, calendar_id, weekday, valid_from),
    FOREIGN KEY (branch_id, calendar_id) REFERENCES calendars,
    CHECK (cardinality(begins) = cardinality(ends))
);
COMMENT ON TABLE calendar_hours IS 'Working hours of a weekday, 1 Monday to 7 Sunday, as spans with the breaks between them.';
COMMENT ON COLUMN calendar_hours.valid_from IS 'The day from which they hold, until a later row of this weekday does.';

CREATE TABLE calendar_days (
    branch_id   integer  NOT NULL,
    calendar_id integer  NOT NULL,
    day         date     NOT NULL,
    what        text     NOT NULL CHECK (what IN ('holiday', 'workday', 'special')),
    name        text     CHECK (name <> ''),
    follows     smallint CHECK (follows BETWEEN 1 AND 7),
    begins      time[]   NOT NULL DEFAULT '{}',
    ends        time[]   NOT NULL DEFAULT '{}',
    PRIMARY KEY (branch_id, calendar_id, day),
    FOREIGN KEY (branch_id, calendar_id) REFERENCES calendars,
    CHECK ((what = 'workday') = (follows IS NOT NULL)),
    CHECK ((what = 'special') = (cardinality(begins) > 0)),
    CHECK (cardinality(begins) = cardinality(ends))
);
COMMENT ON TABLE calendar_days IS 'Days that are not what their weekday says: holidays, make-up workdays (调休), special hours.';
COMMENT ON COLUMN calendar_days.follows IS 'The weekday whose hours a make-up workday has.';

CREATE TABLE work_spans (
    branch_id   integer     NOT NULL,
    calendar_id integer     NOT NULL,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL,
    worked      bigint      NOT NULL,
    PRIMARY KEY (branch_id, calendar_id, starts_at),
    UNIQUE (branch_id, calendar_id, worked),
    FOREIGN KEY (branch_id, calendar_id) REFERENCES calendars,
    CHECK (starts_at < ends_at)
);
COMMENT ON TABLE work_spans IS 'A calendar counted out by the branch''s clock, so that working time is looked up instead of walked through.';
COMMENT ON COLUMN work_spans.worked IS 'Seconds of working time in the spans before this one.';

ALTER TABLE branches
    ADD COLUMN calendar_id integer,
    ADD COLUMN closing_minutes integer NOT NULL DEFAULT 10 CHECK (closing_minutes BETWEEN 0 AND 240),
    ADD FOREIGN KEY (branch_id, calendar_id) REFERENCES calendars;
COMMENT ON COLUMN branches.calendar_id IS 'The calendar in force; null: none, and nothing depends on working hours.';
COMMENT ON COLUMN branches.closing_minutes IS 'A call that nobody answered in so many minutes before closing is called back like one after it.';

ALTER TABLE follow_ups
    ADD COLUMN calendar_id integer,
    ADD FOREIGN KEY (branch_id, calendar_id) REFERENCES calendars;
COMMENT ON COLUMN follow_ups.calendar_id IS 'The calendar by which work_due_at and steps in working time were counted.';

CREATE TABLE missed_calls (
    branch_id    integer     NOT NULL,
    call         text        NOT NULL,
    follow_up_id bigint      NOT NULL,
    retailer_id  integer,
    phone        text        NOT NULL,
    noted_at     timestamptz NOT NULL DEFAULT now(),
    named_by     bigint,
    PRIMARY KEY (branch_id, call),
    FOREIGN KEY (branch_id, follow_up_id) REFERENCES follow_ups,
    FOREIGN KEY (branch_id, call) REFERENCES calls
);
CREATE INDEX missed_calls_by_follow_up ON missed_calls (branch_id, follow_up_id);
CREATE INDEX missed_calls_by_time ON missed_calls (branch_id, noted_at);
COMMENT ON TABLE missed_calls IS 'Inbound calls that came outside working hours, or to nobody before closing, and the follow-up made of each.';
COMMENT ON COLUMN missed_calls.named_by IS 'Reference of the order or complaint of this call that came afterwards: then nobody need call back.';

-- Which orders and complaints name a call. Orders come in by time and few calls ask, soon after: a few pages are read.
CREATE INDEX complaints_by_call ON complaints (branch_id, call) WHERE call IS NOT NULL;
CREATE INDEX orders_by_time ON orders USING brin (stored_at) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX calls_by_time ON calls USING brin (first_seen_at) WITH (pages_per_range = 16, autosummarize = on);

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['calendars', 'calendar_hours', 'calendar_days', 'work_spans', 'missed_calls'] LOOP
        EXECUTE format('CREATE TRIGGER keep_rows BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('CREATE TRIGGER keep_table BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('GRANT SELECT ON %I TO ringback_console', v_table);
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['calendar_hours', 'calendar_days', 'work_spans'] LOOP
        EXECUTE format('CREATE TRIGGER keep_values BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', v_table);
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['calendars', 'calendar_hours', 'calendar_days', 'work_spans'] LOOP
        EXECUTE format('CREATE POLICY own_branch ON %I FOR SELECT TO ringback_console
                        USING (branch_id = (SELECT asker_branch()))', v_table);
    END LOOP;
END $$;
CREATE POLICY his ON missed_calls FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND EXISTS (
    SELECT FROM follow_ups f WHERE f.branch_id = missed_calls.branch_id AND f.follow_up_id = missed_calls.follow_up_id));
