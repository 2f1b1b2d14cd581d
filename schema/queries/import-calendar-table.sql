-- What the file says, in the order of the columns in tools/ringback/import_kind.c. Null: empty or absent.
CREATE TEMP TABLE incoming (line integer, what text, day text, until text, hours text, follows text, name text, since text)
ON COMMIT DROP
