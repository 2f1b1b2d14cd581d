-- Goods and their allocation: products, substitutes, caps, order cycles and what was granted in them.

CREATE TABLE products (
    branch_id   integer     NOT NULL REFERENCES branches,
    product_id  integer     GENERATED ALWAYS AS IDENTITY,
    code        text        NOT NULL CHECK (code <> ''),
    name        text        NOT NULL CHECK (name <> ''),
    price_fen   integer     NOT NULL CHECK (price_fen >= 0),
    price_class smallint    CHECK (price_class BETWEEN 1 AND 5),
    scarce      boolean     NOT NULL DEFAULT false,
    controlled  boolean     NOT NULL DEFAULT false,
    retired_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (branch_id, product_id),
    UNIQUE (branch_id, code)
);
COMMENT ON TABLE products IS 'A brand and specification (规格) that is sold by the carton.';
COMMENT ON COLUMN products.price_fen IS 'Wholesale price of a carton in fen (分).';
COMMENT ON COLUMN products.price_class IS 'Price class, 1 (一类) to 5 (五类).';
COMMENT ON COLUMN products.scarce IS 'Allocated (紧俏): without a cap for a retailer none is given to him.';
COMMENT ON COLUMN products.controlled IS 'Never given by urgent restock.';

CREATE TABLE product_substitutes (
    branch_id     integer  NOT NULL,
    product_id    integer  NOT NULL,
    substitute_id integer  NOT NULL,
    position      smallint NOT NULL,
    PRIMARY KEY (branch_id, product_id, substitute_id),
    FOREIGN KEY (branch_id, product_id) REFERENCES products,
    FOREIGN KEY (branch_id, substitute_id) REFERENCES products,
    CHECK (product_id <> substitute_id)
);
COMMENT ON TABLE product_substitutes IS 'What to offer instead, in the order of position.';

CREATE TABLE caps (
    branch_id   integer  NOT NULL,
    cap_id      integer  GENERATED ALWAYS AS IDENTITY,
    product_id  integer  NOT NULL,
    cartons     integer  NOT NULL CHECK (cartons >= 0),
    tier        smallint CHECK (tier BETWEEN 1 AND 4),
    market_type text     CHECK (market_type IN ('city', 'town', 'village')),
    trade_type  text,
    area_id     integer,
    class       text     CHECK (class IN ('key', 'ordinary')),
    retailer_id integer,
    specificity smallint GENERATED ALWAYS AS (
        CASE WHEN retailer_id IS NOT NULL THEN 100 ELSE 0 END
        + (tier IS NOT NULL)::integer + (market_type IS NOT NULL)::integer + (trade_type IS NOT NULL)::integer
        + (area_id IS NOT NULL)::integer + (class IS NOT NULL)::integer) STORED,
    PRIMARY KEY (branch_id, cap_id),
    FOREIGN KEY (branch_id, product_id) REFERENCES products,
    FOREIGN KEY (branch_id, area_id) REFERENCES areas,
    FOREIGN KEY (branch_id, retailer_id) REFERENCES retailers
);
CREATE INDEX caps_by_product ON caps (branch_id, product_id, retailer_id);
COMMENT ON TABLE caps IS 'How many cartons (限量) of a product a retailer may take in one order cycle; null conditions mean any.';
COMMENT ON COLUMN caps.specificity IS 'The cap with the highest one that fits wins: one for the retailer, else the most conditions.';

CREATE TABLE order_cycles (
    branch_id integer NOT NULL REFERENCES branches,
    cycle_id  integer GENERATED ALWAYS AS IDENTITY,
    starts_on date    NOT NULL,
    ends_on   date    NOT NULL,
    PRIMARY KEY (branch_id, cycle_id),
    UNIQUE (branch_id, starts_on),
    CHECK (ends_on >= starts_on)
);
COMMENT ON TABLE order_cycles IS 'The branch''s weeks for allocation (订货周期), made when the first order of one arrives.';
COMMENT ON COLUMN order_cycles.ends_on IS 'The last day that belongs to it, by the branch''s clock.';

CREATE TABLE cycle_uses (
    branch_id   integer NOT NULL,
    cycle_id    integer NOT NULL,
    retailer_id integer NOT NULL,
    product_id  integer NOT NULL,
    granted_cartons bigint NOT NULL CHECK (granted_cartons >= 0),
    PRIMARY KEY (branch_id, cycle_id, retailer_id, product_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE cycle_uses IS 'Use counters: what a retailer was granted of a product in a cycle. Its rows are the locks that make caps exact. '
    'No foreign keys: only the write functions insert, and their joins are the check.';
