-- What the life of a follow-up leaves behind besides its history: requests to other departments, return visits by a second
-- person, and the tasks that low scores become.

CREATE TABLE departments (
    branch_id  integer NOT NULL REFERENCES branches,
    code       text    NOT NULL CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    zh         text    NOT NULL CHECK (zh <> ''),
    en         text    NOT NULL CHECK (en <> ''),
    person_id  integer,
    revision   integer NOT NULL DEFAULT 1,
    retired_at timestamptz,
    PRIMARY KEY (branch_id, code),
    FOREIGN KEY (branch_id, person_id) REFERENCES people
);
COMMENT ON TABLE departments IS 'Departments (部门) that the owner of a follow-up may ask for something: delivery, finance, inspectors and whatever a branch adds.';
COMMENT ON COLUMN departments.person_id IS 'Who answers for it; null or retired: the duty supervisor does.';
COMMENT ON COLUMN departments.retired_at IS 'Since when it is asked no more; what it was asked stays.';

CREATE TABLE follow_up_requests (
    branch_id      integer     NOT NULL,
    follow_up_id   bigint      NOT NULL,
    number         integer     NOT NULL CHECK (number > 0),
    department     text,
    asked_id       integer     NOT NULL,
    asked_by_id    integer     NOT NULL,
    text           text        NOT NULL CHECK (text <> ''),
    asked_at       timestamptz NOT NULL DEFAULT now(),
    due_at         timestamptz NOT NULL,
    answered_at    timestamptz,
    answered_by_id integer,
    answer         text,
    withdrawn_at   timestamptz,
    PRIMARY KEY (branch_id, follow_up_id, number),
    FOREIGN KEY (branch_id, follow_up_id) REFERENCES follow_ups,
    FOREIGN KEY (branch_id, department) REFERENCES departments,
    FOREIGN KEY (branch_id, asked_id) REFERENCES people,
    FOREIGN KEY (branch_id, asked_by_id) REFERENCES people,
    FOREIGN KEY (branch_id, answered_by_id) REFERENCES people,
    CHECK ((answered_at IS NULL) = (answer IS NULL) AND (answered_at IS NULL) = (answered_by_id IS NULL))
);
CREATE INDEX follow_up_requests_open ON follow_up_requests (branch_id, asked_id) WHERE answered_at IS NULL AND withdrawn_at IS NULL;
COMMENT ON TABLE follow_up_requests IS 'What the owner of a follow-up asked of somebody else, who has a time of his own for it; the owner stays.';
COMMENT ON COLUMN follow_up_requests.number IS 'From 1 in each follow-up; its steps are request-N (to who was asked) and request-N-late (to the owner).';
COMMENT ON COLUMN follow_up_requests.asked_id IS 'Who is to answer; while he has not, he sees the follow-up unless it is a report he may not see.';
COMMENT ON COLUMN follow_up_requests.withdrawn_at IS 'The follow-up was closed before it was answered.';

CREATE TABLE return_visits (
    branch_id      integer     NOT NULL,
    visit_id       bigint      GENERATED ALWAYS AS IDENTITY,
    follow_up_id   bigint      NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    by_person_id   integer     NOT NULL,
    round          integer     NOT NULL,
    how            text        NOT NULL CHECK (how IN ('phone', 'visit')),
    call           text,
    satisfied      boolean     NOT NULL,
    reliability    smallint    NOT NULL CHECK (reliability BETWEEN 1 AND 5),
    assurance      smallint    NOT NULL CHECK (assurance BETWEEN 1 AND 5),
    tangibles      smallint    NOT NULL CHECK (tangibles BETWEEN 1 AND 5),
    empathy        smallint    NOT NULL CHECK (empathy BETWEEN 1 AND 5),
    responsiveness smallint    NOT NULL CHECK (responsiveness BETWEEN 1 AND 5),
    good           text,
    bad            text,
    PRIMARY KEY (branch_id, visit_id),
    FOREIGN KEY (branch_id, follow_up_id) REFERENCES follow_ups,
    FOREIGN KEY (branch_id, by_person_id) REFERENCES people
);
CREATE INDEX return_visits_by_follow_up ON return_visits (branch_id, follow_up_id, visit_id);
CREATE INDEX return_visits_by_time ON return_visits (branch_id, at);
COMMENT ON TABLE return_visits IS 'Return visits (回访): somebody other than who resolved it asks whether the retailer is satisfied; only grows.';
COMMENT ON COLUMN return_visits.round IS 'How often the follow-up had been reopened before: 0 is first-time satisfaction.';
COMMENT ON COLUMN return_visits.reliability IS 'The five scores of service quality (可靠性、保证性、有形性、移情性、响应性), 1 the worst, 5 the best.';
COMMENT ON COLUMN return_visits.call IS 'The gateway''s identifier of the call by which it was made, when one is named.';

CREATE TABLE tasks (
    branch_id    integer     NOT NULL REFERENCES branches,
    task_id      bigint      GENERATED ALWAYS AS IDENTITY,
    kind         text        NOT NULL CHECK (kind IN ('low-score')),
    follow_up_id bigint      NOT NULL,
    visit_id     bigint,
    retailer_id  integer,
    assignee_id  integer,
    report       boolean     NOT NULL,
    text         text        NOT NULL CHECK (text <> ''),
    scores       jsonb       NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    due_at       timestamptz NOT NULL,
    done_at      timestamptz,
    done_by_id   integer,
    note         text,
    PRIMARY KEY (branch_id, task_id),
    FOREIGN KEY (branch_id, follow_up_id) REFERENCES follow_ups,
    FOREIGN KEY (branch_id, visit_id) REFERENCES return_visits,
    FOREIGN KEY (branch_id, retailer_id) REFERENCES retailers,
    FOREIGN KEY (branch_id, assignee_id) REFERENCES people,
    FOREIGN KEY (branch_id, done_by_id) REFERENCES people,
    CHECK ((done_at IS NULL) = (done_by_id IS NULL))
);
CREATE INDEX tasks_by_due ON tasks (branch_id, due_at, task_id);
CREATE INDEX tasks_by_assignee ON tasks (branch_id, assignee_id, due_at, task_id);
CREATE INDEX tasks_by_follow_up ON tasks (branch_id, follow_up_id);
COMMENT ON TABLE tasks IS 'What is to be done about something that was learnt, by whom and by when.';
COMMENT ON COLUMN tasks.kind IS 'low-score: a return visit with a score of 1 or 2, which scores holds.';
COMMENT ON COLUMN tasks.assignee_id IS 'The market manager of the follow-up''s owner; of a report, somebody who may see it; null: nobody was found.';
COMMENT ON COLUMN tasks.report IS 'It is about a report of an offence: only those who may see reports see it.';

ALTER TABLE follow_up_steps ADD COLUMN person_id integer;
COMMENT ON COLUMN follow_up_steps.person_id IS 'Whom a step of a request is for (whom = requested).';
CREATE INDEX follow_ups_merged ON follow_ups (branch_id, merged_into) WHERE merged_into IS NOT NULL;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['departments', 'follow_up_requests', 'return_visits', 'tasks'] LOOP
        EXECUTE format('CREATE TRIGGER keep_rows BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('CREATE TRIGGER keep_table BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('GRANT SELECT ON %I TO ringback_console', v_table);
    END LOOP;
    EXECUTE 'CREATE TRIGGER keep_values BEFORE UPDATE ON return_visits FOR EACH ROW EXECUTE FUNCTION refuse_change()';
END $$;

-- Who is asked for something sees what it is about while the request is open: the follow-up (and through it its complaint,
-- history and steps) and the shop. A report stays with those who may see reports. The functions read as the owner, since
-- the policies of requests and follow-ups would otherwise ask each other without end.
CREATE FUNCTION asker_requests() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
    SELECT coalesce(array_agg(q.follow_up_id), '{}') FROM follow_up_requests q
    WHERE q.branch_id = asker_branch() AND q.asked_id = ANY (asker_managers() || asker_person())
      AND q.answered_at IS NULL AND q.withdrawn_at IS NULL
$$;
CREATE FUNCTION asker_request_retailers() RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ringback, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT f.retailer_id), '{}') FROM follow_ups f
    WHERE f.branch_id = asker_branch() AND f.follow_up_id = ANY (asker_requests()) AND f.kind <> 'report' AND f.retailer_id IS NOT NULL
$$;
COMMENT ON FUNCTION asker_requests() IS 'Follow-ups on which who asks, or somebody he stands in for, has an open request.';
COMMENT ON FUNCTION asker_request_retailers() IS 'The shops that those are about, but for reports.';
GRANT EXECUTE ON FUNCTION asker_requests(), asker_request_retailers() TO ringback_console;

DROP POLICY his ON retailers;
CREATE POLICY his ON retailers FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND (
    (SELECT asker_everything() OR asker_role() = 'inspector')
    OR manager_id = ANY ((SELECT asker_managers())::integer[]) OR area_id = (SELECT asker_area())
    OR retailer_id = ANY ((SELECT asker_request_retailers())::integer[])));
DROP POLICY his ON follow_ups;
CREATE POLICY his ON follow_ups FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch())
    AND CASE WHEN kind = 'report' THEN (SELECT asker_reports()) ELSE (SELECT asker_everything())
             OR owner_id = ANY ((SELECT asker_managers())::integer[])
             OR ((SELECT asker_role()) IN ('account_manager', 'market_manager') AND EXISTS (
                    SELECT FROM retailers r WHERE r.branch_id = follow_ups.branch_id AND r.retailer_id = follow_ups.retailer_id))
             OR follow_up_id = ANY ((SELECT asker_requests())::bigint[]) END);

CREATE POLICY own_branch ON departments FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()));
DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['follow_up_requests', 'return_visits'] LOOP
        EXECUTE format('CREATE POLICY his ON %1$I FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch())
            AND EXISTS (SELECT FROM follow_ups f WHERE f.branch_id = %1$I.branch_id AND f.follow_up_id = %1$I.follow_up_id))', v_table);
    END LOOP;
END $$;
CREATE POLICY his ON tasks FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch())
    AND CASE WHEN report AND NOT (SELECT asker_reports()) THEN false
             ELSE (SELECT asker_role()) IN ('supervisor', 'administrator')
                  OR assignee_id = ANY ((SELECT asker_managers())::integer[]) OR assignee_id = (SELECT asker_person()) END);

-- The departments that domain and trade have everywhere; a branch names who answers for them, and adds its own.
CREATE FUNCTION add_departments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO departments (branch_id, code, zh, en) VALUES (NEW.branch_id, 'delivery', '配送', 'Delivery'),
        (NEW.branch_id, 'finance', '财务', 'Finance'), (NEW.branch_id, 'inspectors', '专卖稽查', 'Inspectors');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION add_departments() IS 'Gives a new branch the departments that every branch has.';
CREATE TRIGGER add_departments AFTER INSERT ON branches FOR EACH ROW EXECUTE FUNCTION add_departments();
INSERT INTO departments (branch_id, code, zh, en)
    SELECT b.branch_id, d.* FROM branches b
    CROSS JOIN (VALUES ('delivery', '配送', 'Delivery'), ('finance', '财务', 'Finance'), ('inspectors', '专卖稽查', 'Inspectors')) d;
