-- What the file says, in the order of the columns in tools/ringback/import_kind.c. Null: empty, absent or at fault.
CREATE TEMP TABLE incoming (line integer, code text, name text, price_fen integer, price_class smallint, scarce boolean,
    controlled boolean, substitutes text[])
ON COMMIT DROP
