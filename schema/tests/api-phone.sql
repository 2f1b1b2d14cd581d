-- Numbers as people type them at the console come out as common/phone writes them: the same table of spellings.
BEGIN;
SET LOCAL search_path = ringback, public;
SELECT * FROM no_plan();
\set cases `cat tests/unit/phone_cases.jsonl`
CREATE TEMP TABLE cases AS
    SELECT n, c::jsonb ->> 0 AS text, c::jsonb ->> 1 AS area, c::jsonb ->> 2 AS number, c::jsonb ->> 3 AS why
    FROM regexp_split_to_table(:'cases', '\n') WITH ORDINALITY AS x (c, n) WHERE c <> '' AND c !~ '\\u0000';
SELECT cmp_ok((SELECT count(*) FROM cases), '>', 200::bigint, 'the table is there');
SELECT is(phone_number(text, area), number, format('%s: %s (%s)', n, text, why)) FROM cases
WHERE text !~* '^["<]|sips?:|tel:|@' ORDER BY n;
SELECT is(phone_number(number, NULL), number, 'again: ' || number) FROM cases WHERE number IS NOT NULL AND text !~* '(sip|tel):';
SELECT * FROM finish();
ROLLBACK;
