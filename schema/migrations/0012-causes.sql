-- Why retailers complain: categories and root causes as data of each branch, and incidents, which hold many complaints about one
-- thing together. The indexes at the end are for figures over a period.

CREATE TABLE categories (
    branch_id  integer     NOT NULL REFERENCES branches,
    code       text        NOT NULL CHECK (code <> '' AND code !~ '[[:cntrl:]]'),
    zh         text        NOT NULL CHECK (zh <> ''),
    en         text        NOT NULL CHECK (en <> ''),
    kind       text        CHECK (kind IN ('complaint', 'opinion', 'request', 'suggestion', 'inquiry', 'report')),
    position   smallint    NOT NULL CHECK (position >= 0),
    revision   integer     NOT NULL DEFAULT 1,
    retired_at timestamptz,
    PRIMARY KEY (branch_id, code)
);
COMMENT ON TABLE categories IS 'What complaints are about (投诉类别). Events may name others, which are kept as they came and shown as unlisted.';
COMMENT ON COLUMN categories.kind IS 'The kind that it usually comes with: a hint for who writes a complaint down; null: any.';
COMMENT ON COLUMN categories.position IS 'Order in lists, from 0; equal ones by code.';
COMMENT ON COLUMN categories.retired_at IS 'Since when it is offered no more; what was filed under it stays so.';

CREATE TABLE causes (
    branch_id  integer     NOT NULL REFERENCES branches,
    code       text        NOT NULL CHECK (code <> '' AND code !~ '[[:cntrl:]]'),
    zh         text        NOT NULL CHECK (zh <> ''),
    en         text        NOT NULL CHECK (en <> ''),
    kind       text        CHECK (kind IN ('complaint', 'opinion', 'request', 'suggestion', 'inquiry', 'report')),
    position   smallint    NOT NULL CHECK (position >= 0),
    revision   integer     NOT NULL DEFAULT 1,
    retired_at timestamptz,
    PRIMARY KEY (branch_id, code)
);
COMMENT ON TABLE causes IS 'Root causes (原因) that whoever resolves a follow-up chooses from.';
COMMENT ON COLUMN causes.kind IS 'The kind that it usually explains: a hint; null: any.';

-- The words of the domain; a branch changes them as it likes. Nothing happens where there are some already.
CREATE FUNCTION add_vocabulary(p_branch integer) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO categories (branch_id, position, code, zh, en, kind)
    SELECT p_branch, w.*
    FROM (VALUES (10, 'wrong-order', '错单', 'wrong order', 'complaint'),
                 (20, 'missed-order', '漏单', 'order lost or not taken', 'complaint'),
                 (30, 'missed-call', '漏接电话', 'call not answered', 'complaint'),
                 (40, 'short-delivery', '少送', 'short delivery', 'complaint'),
                 (50, 'late-delivery', '送货延误', 'late delivery', 'complaint'),
                 (60, 'damaged-packing', '包装破损', 'damaged packing', 'complaint'),
                 (70, 'not-delivered', '货未送到', 'goods never came', 'complaint'),
                 (80, 'scarce-goods', '紧俏货源', 'supply of scarce goods', NULL), (90, 'price', '价格', 'price', NULL),
                 (100, 'debit-failed', '扣款失败', 'bank debit failed', 'complaint'),
                 (110, 'star-rating', '星级下降', 'star rating fell', NULL),
                 (120, 'service-attitude', '服务态度', 'attitude of our people', 'complaint'),
                 (130, 'system-failure', '系统线路故障', 'system or line failure', 'complaint'),
                 (140, 'returns', '退换货', 'return or exchange', 'request'),
                 (150, 'counterfeit', '假烟', 'counterfeit goods', 'report'),
                 (160, 'offence', '违法经营', 'offence against the trade''s law', 'report'), (170, 'other', '其他', 'other', NULL)) AS w (position, code, zh, en, kind)
    WHERE NOT EXISTS (SELECT FROM categories c WHERE c.branch_id = p_branch);
    INSERT INTO causes (branch_id, position, code, zh, en)
    SELECT p_branch, w.*
    FROM (VALUES (10, 'operator', '订货员差错', 'operator''s mistake'), (20, 'gateway', '线路或系统故障', 'line or system failed'),
                 (30, 'allocation', '货源投放', 'allocation'), (40, 'stock', '库存不足', 'out of stock'),
                 (50, 'picking', '分拣差错', 'picked or packed wrongly'), (60, 'delivery', '配送', 'delivery'),
                 (70, 'settlement', '结算', 'settlement'), (80, 'price', '价格政策', 'price policy'),
                 (90, 'rules', '政策解释不到位', 'rules not explained'), (100, 'attitude', '服务态度', 'attitude'),
                 (110, 'retailer', '客户自身原因', 'the retailer himself'), (120, 'outside', '外部原因', 'weather, roads, authorities'),
                 (130, 'other', '其他', 'other')) AS w (position, code, zh, en)
    WHERE NOT EXISTS (SELECT FROM causes c WHERE c.branch_id = p_branch)
$$;
COMMENT ON FUNCTION add_vocabulary(integer) IS 'Gives a branch that has none its first categories and root causes.';
SELECT add_vocabulary(branch_id) FROM branches;

CREATE TABLE incidents (
    branch_id   integer     NOT NULL REFERENCES branches,
    incident_id integer     GENERATED ALWAYS AS IDENTITY,
    title       text        NOT NULL CHECK (title <> ''),
    event       text,
    category    text,
    product_id  integer,
    route_id    integer,
    area_id     integer,
    revision    integer     NOT NULL DEFAULT 1,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    opened_by   text        NOT NULL,
    answer      text        CHECK (answer <> ''),
    answered_at timestamptz,
    answered_by text,
    closed_at   timestamptz,
    closed_by   text,
    PRIMARY KEY (branch_id, incident_id),
    FOREIGN KEY (branch_id, product_id) REFERENCES products,
    FOREIGN KEY (branch_id, route_id) REFERENCES routes,
    FOREIGN KEY (branch_id, area_id) REFERENCES areas,
    CHECK ((answer IS NULL) = (answered_at IS NULL))
);
COMMENT ON TABLE incidents IS 'Many complaints about one product, route or event (群体投诉): answered once, each retailer still called.';
COMMENT ON COLUMN incidents.event IS 'What happened, in words: a storm, a broken van, a wrong price list.';
COMMENT ON COLUMN incidents.answer IS 'What everybody tells the retailers; written once.';
COMMENT ON COLUMN incidents.opened_by IS 'The account that did it, as in the audit log; answered_by and closed_by likewise.';

CREATE TABLE incident_history (
    branch_id   integer     NOT NULL,
    history_id  bigint      GENERATED ALWAYS AS IDENTITY,
    incident_id integer     NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    kind        text        NOT NULL CHECK (kind IN ('opened', 'changed', 'grouped', 'removed', 'answered', 'told', 'closed')),
    actor       text        NOT NULL,
    details     jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (branch_id, history_id),
    FOREIGN KEY (branch_id, incident_id) REFERENCES incidents
);
CREATE INDEX incident_history_by_incident ON incident_history (branch_id, incident_id, history_id);
COMMENT ON TABLE incident_history IS 'Everything that happened to an incident; only grows.';
COMMENT ON COLUMN incident_history.details IS 'grouped and removed: "follow_ups"; told: "people", the ids of the owners who heard of the answer.';

ALTER TABLE follow_ups ADD FOREIGN KEY (branch_id, incident_id) REFERENCES incidents;
COMMENT ON COLUMN follow_ups.incident_id IS 'The incident that it belongs to; never a report, whose existence an incident would betray.';
CREATE INDEX follow_ups_by_incident ON follow_ups (branch_id, incident_id) WHERE incident_id IS NOT NULL;

DO $$
DECLARE
    v_table text;
BEGIN
    FOREACH v_table IN ARRAY ARRAY['categories', 'causes', 'incidents', 'incident_history'] LOOP
        EXECUTE format('CREATE TRIGGER keep_rows BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('CREATE TRIGGER keep_table BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_removal()', v_table);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', v_table);
        EXECUTE format('GRANT SELECT ON %I TO ringback_app, ringback_console', v_table);
        EXECUTE format('CREATE POLICY daemon ON %I FOR SELECT TO ringback_app USING (true)', v_table);
    END LOOP;
    FOREACH v_table IN ARRAY ARRAY['categories', 'causes'] LOOP
        EXECUTE format('CREATE POLICY own_branch ON %I FOR SELECT TO ringback_console
                        USING (branch_id = (SELECT asker_branch()))', v_table);
    END LOOP;
END $$;
CREATE TRIGGER keep_values BEFORE UPDATE ON incident_history FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE POLICY his ON incidents FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND (
    (SELECT asker_everything()) OR EXISTS (SELECT FROM follow_ups f
        WHERE f.branch_id = incidents.branch_id AND f.incident_id = incidents.incident_id)));
CREATE POLICY his ON incident_history FOR SELECT TO ringback_console USING (branch_id = (SELECT asker_branch()) AND EXISTS (
    SELECT FROM incidents i WHERE i.branch_id = incident_history.branch_id AND i.incident_id = incident_history.incident_id));
