-- What the file says, in the order of the columns in tools/ringback/import_kind.c. Null: empty or absent.
CREATE TEMP TABLE incoming (line integer, product text, cartons integer, tier smallint, market_type text, trade_type text,
    area text, class text, retailer text)
ON COMMIT DROP
