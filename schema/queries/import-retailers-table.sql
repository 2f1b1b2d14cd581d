-- What the file says, in the order of the columns in tools/ringback/import_kind.c. Null: empty, absent or at fault.
CREATE TEMP TABLE incoming (line integer, code text, name text, phones text[], manager text, area text, route text,
    order_day smallint, tier smallint, class text, compliance text, market_type text, trade_type text, business_circle text,
    settlement text, licence text, legal_person text, family text, monthly_volume integer, address text)
ON COMMIT DROP
