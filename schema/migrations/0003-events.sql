-- What comes in: gateways, the register of events, and the calls, orders and complaints they make.
--
-- Event, order and line rows carry no foreign keys to retailers, products and people: the checks cost two thirds of the
-- transaction (five scans of the products' index an order), those tables never lose a row (a trigger says so), and only the
-- write functions insert here, whose joins are the check.

CREATE TABLE gateways (
    branch_id   integer     NOT NULL REFERENCES branches,
    gateway_id  integer     GENERATED ALWAYS AS IDENTITY,
    name        text        NOT NULL UNIQUE CHECK (name <> '' AND name !~ '[:[:cntrl:]]'),
    sealed_key  bytea       NOT NULL,
    retired_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, gateway_id)
);
COMMENT ON TABLE gateways IS 'Telephony gateways and other programs that may send events for one branch.';
COMMENT ON COLUMN gateways.name IS 'User name for Basic authentication, hence unique over all branches and without a colon.';
COMMENT ON COLUMN gateways.sealed_key IS 'The key, sealed under secret_key_file (libsodium secretbox: nonce, then box).';

CREATE TABLE sources (
    branch_id integer NOT NULL REFERENCES branches,
    source_id integer GENERATED ALWAYS AS IDENTITY,
    source    text    NOT NULL CHECK (source <> ''),
    PRIMARY KEY (branch_id, source_id),
    UNIQUE (branch_id, source)
);
COMMENT ON TABLE sources IS 'CloudEvents sources by a small number, so that the register of events stays narrow.';

CREATE TABLE events (
    branch_id    integer     NOT NULL,
    source_id    integer     NOT NULL,
    event_id     text        NOT NULL,
    content_hash bytea       NOT NULL CHECK (octet_length(content_hash) = 16),
    stored_at    timestamptz NOT NULL DEFAULT now(),
    answer       text        NOT NULL,
    PRIMARY KEY (branch_id, source_id, event_id)
);
COMMENT ON TABLE events IS 'The register that makes every event happen once, for ever; never partitioned, never pruned.';
COMMENT ON COLUMN events.content_hash IS 'BLAKE2b-128 of type and data as JSON values: the same id with another hash is a conflict.';
COMMENT ON COLUMN events.answer IS 'The body of the first answer, given again to every repetition.';

CREATE TABLE event_bodies (
    branch_id  integer     NOT NULL,
    source_id  integer     NOT NULL,
    event_id   text        NOT NULL,
    stored_at  timestamptz NOT NULL DEFAULT now(),
    gateway_id integer     NOT NULL,
    type       text        NOT NULL,
    event_time timestamptz,
    data       text        NOT NULL
) PARTITION BY RANGE (stored_at);
CREATE INDEX event_bodies_by_time ON event_bodies USING brin (stored_at) WITH (pages_per_range = 16);
COMMENT ON TABLE event_bodies IS 'What was sent, as it came, by month (of UTC); old months may be detached. '
    'Find one by its event''s stored_at, which is the same.';
COMMENT ON COLUMN event_bodies.event_time IS 'The event''s own time attribute, which may be absent or wrong.';
COMMENT ON COLUMN event_bodies.data IS 'The data member''s JSON text as it came.';
CREATE TABLE event_bodies_other PARTITION OF event_bodies DEFAULT;
COMMENT ON TABLE event_bodies_other IS 'Catches what no month was made for, so that intake never stops for want of a partition.';

CREATE TABLE calls (
    branch_id   integer     NOT NULL,
    call        text        NOT NULL,
    gateway_id  integer     NOT NULL,
    state       smallint    NOT NULL CHECK (state BETWEEN 1 AND 3),
    direction   text        NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    from_number text        NOT NULL,
    to_number   text        NOT NULL,
    from_phone  text,
    to_phone    text,
    retailer_id integer,
    ringing_at  timestamptz,
    answered_at timestamptz,
    ended_at    timestamptz,
    seconds     integer     CHECK (seconds >= 0),
    cause       text,
    recording   text,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, call)
) WITH (fillfactor = 80);
CREATE INDEX calls_by_retailer ON calls (branch_id, retailer_id, first_seen_at) WHERE retailer_id IS NOT NULL;
COMMENT ON TABLE calls IS 'One row a telephone call, whatever the order and number of its events.';
COMMENT ON COLUMN calls.call IS 'The gateway''s identifier of the call (SIP Call-ID); orders and complaints name it.';
COMMENT ON COLUMN calls.state IS '1 ringing, 2 answered, 3 ended; never goes back.';
COMMENT ON COLUMN calls.from_number IS 'As the gateway wrote it; from_phone is the same in the stored spelling, null when it is none.';
COMMENT ON COLUMN calls.retailer_id IS 'Whose number the far end is; null when nobody''s or several retailers''.';
COMMENT ON COLUMN calls.ringing_at IS 'By the event''s time attribute, else when it arrived; answered_at and ended_at likewise.';
COMMENT ON COLUMN calls.seconds IS 'Of conversation, as the ended event says.';

CREATE TABLE orders (
    branch_id   integer     NOT NULL,
    reference   bigint      NOT NULL CHECK (reference BETWEEN 1000000000 AND 9999999999),
    retailer_id integer     NOT NULL,
    cycle_id    integer     NOT NULL,
    gateway_id  integer     NOT NULL,
    operator_id integer,
    operator_code text,
    call        text,
    note        text,
    placed_at   timestamptz NOT NULL,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, reference)
);
CREATE INDEX orders_by_retailer ON orders (branch_id, retailer_id, stored_at);
COMMENT ON TABLE orders IS 'An order (订单): what a retailer asked for in one call, and what was granted.';
COMMENT ON COLUMN orders.reference IS 'Ten digits that can be read over the telephone; the last is Damm''s check digit. One number space with complaints.';
COMMENT ON COLUMN orders.operator_code IS 'As the event named him, also when no such operator is known.';
COMMENT ON COLUMN orders.call IS 'The call it was taken in; may be named before the call''s own events come.';
COMMENT ON COLUMN orders.placed_at IS 'The event''s time when it is plausible, else when it was stored.';

CREATE TABLE order_lines (
    branch_id  integer  NOT NULL,
    reference  bigint   NOT NULL,
    line       smallint NOT NULL,
    product_id integer  NOT NULL,
    asked_cartons   integer NOT NULL CHECK (asked_cartons > 0),
    granted_cartons integer NOT NULL CHECK (granted_cartons BETWEEN 0 AND asked_cartons),
    price_fen  integer  NOT NULL,
    reason     text     CHECK (reason IN ('over-cap', 'not-allocated')),
    cap_cartons integer,
    used_cartons bigint NOT NULL,
    PRIMARY KEY (branch_id, reference, line)
);
COMMENT ON TABLE order_lines IS 'One product of an order: asked and granted side by side, since the difference is demand not met.';
COMMENT ON COLUMN order_lines.line IS 'In the order they were sent, from 1.';
COMMENT ON COLUMN order_lines.price_fen IS 'Wholesale price of a carton when the order was stored.';
COMMENT ON COLUMN order_lines.cap_cartons IS 'The cap that held; null: none. used_cartons: granted to this retailer in the cycle before.';

CREATE TABLE complaints (
    branch_id   integer     NOT NULL REFERENCES branches,
    reference   bigint      NOT NULL CHECK (reference BETWEEN 1000000000 AND 9999999999),
    kind        text        NOT NULL CHECK (kind IN ('complaint', 'opinion', 'request', 'suggestion', 'inquiry', 'report')),
    retailer_id integer,
    retailer_code text,
    caller      text,
    caller_phone text,
    text        text        NOT NULL CHECK (text <> ''),
    category    text,
    severity    smallint    CHECK (severity BETWEEN 1 AND 3),
    order_reference bigint,
    call        text,
    gateway_id  integer     NOT NULL,
    operator_id integer,
    operator_code text,
    raised_at   timestamptz NOT NULL,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, reference),
    FOREIGN KEY (branch_id, retailer_id) REFERENCES retailers,
    FOREIGN KEY (branch_id, order_reference) REFERENCES orders,
    FOREIGN KEY (branch_id, operator_id) REFERENCES people
);
CREATE INDEX complaints_by_retailer ON complaints (branch_id, retailer_id, raised_at);
COMMENT ON TABLE complaints IS 'A grievance (投诉), opinion, request, suggestion, inquiry or report, in the caller''s words.';
COMMENT ON COLUMN complaints.retailer_code IS 'As the event named the retailer, also when the branch knows none by it.';
COMMENT ON COLUMN complaints.caller IS 'As the event named the caller; caller_phone is the same in the stored spelling, null when it is none.';
COMMENT ON COLUMN complaints.raised_at IS 'When the promise begins: the event''s time when at most 60 s ahead and 7 days old, else the moment stored.';
