-- The tenant and who belongs to it: branches, areas, people, retailers with their phones and the history of their changes.
--
-- Conventions of every migration:
--   * branch_id is part of every key, so that the schema can be sharded by branch; nothing refers across branches.
--   * People, retailers and products are retired, never deleted: codes stay known to what was written about them.
--   * Phones are stored in one spelling (E.164, "+86…"; short numbers as dialled), made by common/phone.
--   * Times are timestamptz; money is fen; quantities are cartons.

CREATE TABLE branches (
    branch_id       integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code            text        NOT NULL UNIQUE CHECK (code <> ''),
    name            text        NOT NULL CHECK (name <> ''),
    timezone        text        NOT NULL DEFAULT 'Asia/Shanghai',
    area_code       text        CHECK (area_code ~ '^0[0-9]{2,3}$'),
    cycle_first_day smallint    NOT NULL DEFAULT 1 CHECK (cycle_first_day BETWEEN 1 AND 7),
    duty_supervisor_id integer,
    reference_sequence regclass NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE branches IS 'A wholesale company of one prefecture (市公司): the tenant to whom everything else belongs.';
COMMENT ON COLUMN branches.timezone IS 'IANA name; order cycles and spoken times are by this clock.';
COMMENT ON COLUMN branches.area_code IS 'Trunk prefix and area code ("0416") that completes local numbers of 7 or 8 digits.';
COMMENT ON COLUMN branches.cycle_first_day IS 'Day on which an order cycle (订货周期) begins, 1 Monday to 7 Sunday.';
COMMENT ON COLUMN branches.duty_supervisor_id IS 'Who gets what has no other owner; null: the first active supervisor by code.';
COMMENT ON COLUMN branches.reference_sequence IS 'Nine-digit bodies of the references of orders and complaints, one number space.';

CREATE TABLE areas (
    branch_id integer NOT NULL REFERENCES branches,
    area_id   integer GENERATED ALWAYS AS IDENTITY,
    code      text    NOT NULL CHECK (code <> ''),
    PRIMARY KEY (branch_id, area_id),
    UNIQUE (branch_id, code)
);
COMMENT ON TABLE areas IS 'A sales area (片区); made by the first import that names it.';

CREATE TABLE routes (
    branch_id integer NOT NULL REFERENCES branches,
    route_id  integer GENERATED ALWAYS AS IDENTITY,
    code      text    NOT NULL CHECK (code <> ''),
    PRIMARY KEY (branch_id, route_id),
    UNIQUE (branch_id, code)
);
COMMENT ON TABLE routes IS 'A delivery and calling route (线路); made by the first import that names it.';

CREATE TABLE people (
    branch_id    integer     NOT NULL REFERENCES branches,
    person_id    integer     GENERATED ALWAYS AS IDENTITY,
    code         text        NOT NULL CHECK (code <> ''),
    name         text        NOT NULL CHECK (name <> ''),
    role         text        NOT NULL CHECK (role IN ('operator', 'account_manager', 'market_manager', 'supervisor',
                                                      'deliverer', 'inspector')),
    area_id      integer,
    reports_to_id integer,
    deputy_id    integer,
    retired_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, person_id),
    UNIQUE (branch_id, code),
    FOREIGN KEY (branch_id, area_id) REFERENCES areas,
    FOREIGN KEY (branch_id, reports_to_id) REFERENCES people,
    FOREIGN KEY (branch_id, deputy_id) REFERENCES people
);
CREATE INDEX people_by_role ON people (branch_id, role, code) WHERE retired_at IS NULL;
CREATE INDEX people_by_area ON people (branch_id, area_id, role) WHERE retired_at IS NULL;
COMMENT ON TABLE people IS 'Staff of a branch: operators, account managers and their line of command.';
COMMENT ON COLUMN people.reports_to_id IS 'The next one up the line of command.';
COMMENT ON COLUMN people.deputy_id IS 'Who stands in while this person is away.';
COMMENT ON COLUMN people.retired_at IS 'Since when this person no longer works here; null: active. Rows are never deleted.';

ALTER TABLE branches ADD FOREIGN KEY (branch_id, duty_supervisor_id) REFERENCES people;

CREATE TABLE person_phones (
    branch_id integer NOT NULL,
    person_id integer NOT NULL,
    phone     text    NOT NULL CHECK (phone ~ '^\+?[0-9]{3,15}$'),
    position  smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (branch_id, person_id, phone),
    FOREIGN KEY (branch_id, person_id) REFERENCES people
);
CREATE INDEX person_phones_by_phone ON person_phones (branch_id, phone);
COMMENT ON TABLE person_phones IS 'Numbers from which a person calls retailers; a proved call-back comes from one of them.';
COMMENT ON COLUMN person_phones.position IS 'Order in which the file named them, from 1.';

CREATE TABLE retailers (
    branch_id       integer     NOT NULL REFERENCES branches,
    retailer_id     integer     GENERATED ALWAYS AS IDENTITY,
    code            text        NOT NULL CHECK (code <> ''),
    name            text        NOT NULL CHECK (name <> ''),
    manager_id      integer     NOT NULL,
    area_id         integer,
    route_id        integer,
    order_day       smallint    CHECK (order_day BETWEEN 1 AND 7),
    tier            smallint    CHECK (tier BETWEEN 1 AND 4),
    class           text        CHECK (class IN ('key', 'ordinary')),
    compliance      text        CHECK (compliance IN ('good', 'warned', 'bad')),
    market_type     text        CHECK (market_type IN ('city', 'town', 'village')),
    trade_type      text,
    business_circle text,
    settlement      text        CHECK (settlement IN ('bank_debit', 'pos', 'cash')),
    licence         text,
    legal_person    text,
    family          text,
    monthly_volume  integer     CHECK (monthly_volume >= 0),
    address         text,
    retired_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    changed_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, retailer_id),
    UNIQUE (branch_id, code),
    FOREIGN KEY (branch_id, manager_id) REFERENCES people,
    FOREIGN KEY (branch_id, area_id) REFERENCES areas,
    FOREIGN KEY (branch_id, route_id) REFERENCES routes
);
CREATE INDEX retailers_by_manager ON retailers (branch_id, manager_id);
COMMENT ON TABLE retailers IS 'A licensed shop (零售客户) that orders by telephone.';
COMMENT ON COLUMN retailers.code IS 'Customer code (客户代码), the branch''s own.';
COMMENT ON COLUMN retailers.manager_id IS 'The account manager (客户经理) who owns this retailer and its call-backs.';
COMMENT ON COLUMN retailers.order_day IS 'Weekly order day (订货日), 1 Monday to 7 Sunday; null: any day.';
COMMENT ON COLUMN retailers.tier IS 'Tier for scarce goods (档), 1 to 4, the fourth the highest.';
COMMENT ON COLUMN retailers.class IS 'Key retailers have the published promise of a call-back within 24 hours.';
COMMENT ON COLUMN retailers.market_type IS 'Market type (市场类型).';
COMMENT ON COLUMN retailers.trade_type IS 'Trade type (业态): grocery, convenience, supermarket, tobacco shop, hotel, other.';
COMMENT ON COLUMN retailers.business_circle IS 'Business circle (商圈类型).';
COMMENT ON COLUMN retailers.licence IS 'Number of the monopoly licence (专卖证号).';
COMMENT ON COLUMN retailers.monthly_volume IS 'Cartons in a usual month.';

CREATE TABLE retailer_phones (
    branch_id   integer  NOT NULL,
    retailer_id integer  NOT NULL,
    phone       text     NOT NULL CHECK (phone ~ '^\+?[0-9]{3,15}$'),
    position    smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (branch_id, retailer_id, phone),
    FOREIGN KEY (branch_id, retailer_id) REFERENCES retailers
);
CREATE INDEX retailer_phones_by_phone ON retailer_phones (branch_id, phone) INCLUDE (retailer_id);
COMMENT ON TABLE retailer_phones IS 'Numbers by which a retailer is known and called back; two retailers may share one.';

CREATE TABLE retailer_changes (
    branch_id   integer     NOT NULL,
    change_id   bigint      GENERATED ALWAYS AS IDENTITY,
    retailer_id integer     NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    changed_by  text        NOT NULL,
    old_values  jsonb       NOT NULL,
    new_values  jsonb       NOT NULL,
    PRIMARY KEY (branch_id, change_id),
    FOREIGN KEY (branch_id, retailer_id) REFERENCES retailers
);
CREATE INDEX retailer_changes_by_retailer ON retailer_changes (branch_id, retailer_id, changed_at);
COMMENT ON TABLE retailer_changes IS 'What changed about a retailer, when and by whom; only grows.';
COMMENT ON COLUMN retailer_changes.old_values IS 'Only the columns that changed, with codes instead of ids; phones as an array.';
