-- What the file says, in the order of the columns in tools/ringback/import_kind.c. Null: empty, absent or at fault.
CREATE TEMP TABLE incoming (line integer, code text, name text, role text, phones text[], area text, reports_to text, deputy text)
ON COMMIT DROP
