-- Telephone numbers that people type at the console, in the one spelling of the database: what common/phone.c does for events
-- and imports, here for the parameters and bodies of the console's requests. Both are tested on the same table of spellings
-- (tests/unit/phone_cases.jsonl), but for URIs, which only machines send.

-- Digits with a plus in front and dashes between, or null when the text holds what no number does.
CREATE OR REPLACE FUNCTION phone_reading(p_text text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v text := p_text;
    v_extension text[];
BEGIN
    IF octet_length(v) > 200 THEN
        RETURN NULL;
    END IF;
    v := translate(v, '０１２３４５６７８９＋＃＊，：＝', '0123456789+#*,:=');
    v := regexp_replace(v, '([0-9][^0-9]*)\(0\)', '\1', 'g');
    -- Blanks and brackets of all kinds, marks of direction, dots and slashes; then dashes.
    v := regexp_replace(v, '[\t-\r ()./\[\]\u00a0\u00b7\u1680\u2000-\u200f\u2022\u2028-\u202f\u205f\u2060\u2066-\u2069\u3000'
                        '\u3010\u3011\u30fb\ufeff\uff08\uff09\uff0e\uff0f]', '', 'g');
    v := regexp_replace(v, '[\u00ad\u2010-\u2015\u2043\u2212\u30fc\ufe58\ufe63\uff0d]', '-', 'g');
    v_extension := regexp_match(v, '^(.*?)(?:extension|extn|ext|x|转|轉|分机|分機|内线|#|\*|,)(.*)$', 'i');
    IF v_extension IS NOT NULL THEN
        IF v_extension[1] !~ '[0-9]'
           OR v_extension[2] !~* '^(?:(?:extension|extn|ext|x|转|轉|分机|分機|内线|[#*,:=-])*)[0-9-]{0,12}$'
           OR length(regexp_replace(v_extension[2], '[^0-9]', '', 'g')) > 6 THEN
            RETURN NULL;
        END IF;
        v := v_extension[1] || 'x';
    END IF;
    v := regexp_replace(v, '^-+|(-)-+', '\1', 'g');
    RETURN CASE WHEN v ~ '^\+?-*[0-9][0-9-]*x?$' THEN replace(v, '+-', '+') END;
END $$;
COMMENT ON FUNCTION phone_reading(text) IS
    'A number''s digits, "+" before and "-" between them, "x" behind them when an extension followed; null: no number.';

CREATE OR REPLACE FUNCTION phone_is_service(p_digits text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_digits ~ '^(1[0-2][0-9]{3}|9[56][0-9]{3,4})$'
$$;
COMMENT ON FUNCTION phone_is_service(text) IS 'Whether this is a number like 12313 or 95588 that every area has.';

CREATE OR REPLACE FUNCTION phone_is_landline(p_digits text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_digits ~ '^((2[0-9]|10)[0-9]{8}|[3-9][0-9]{2}[0-9]{7,8})$'
        OR (p_digits ~ '^(2[0-9]|10)' AND phone_is_service(substr(p_digits, 3)))
        OR (p_digits ~ '^[3-9][0-9]{2}' AND phone_is_service(substr(p_digits, 4)))
$$;
COMMENT ON FUNCTION phone_is_landline(text) IS 'Whether these digits are a landline with its area code, without trunk zero.';

CREATE OR REPLACE FUNCTION phone_chinese(p_digits text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_digits ~ '^[19][0-9]{2,5}$' THEN p_digits
                WHEN p_digits ~ '^[48]00[0-9]{7}$' THEN '+86' || p_digits
                WHEN d ~ '^1[3-9][0-9]{9}$' OR phone_is_landline(d) THEN '+86' || d END
    FROM (SELECT regexp_replace(p_digits, '^0', '') AS d) x
$$;
COMMENT ON FUNCTION phone_chinese(text) IS 'The number that these digits are behind +86; null: none.';

CREATE OR REPLACE FUNCTION phone_definite(p_digits text, p_plus boolean) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN NOT p_plus AND p_digits ~ '^00.'
                    THEN CASE WHEN p_digits ~ '^0086' THEN phone_chinese(substr(p_digits, 5)) END
                WHEN length(p_digits) > 11 AND p_digits ~ '^86' THEN phone_chinese(substr(p_digits, 3))
                WHEN p_plus THEN NULL
                WHEN p_digits ~ '^(1[3-9][0-9]{9}|[48]00[0-9]{7})$' THEN '+86' || p_digits
                WHEN p_digits ~ '^0[1-9]' THEN phone_chinese(p_digits) END
$$;
COMMENT ON FUNCTION phone_definite(text, boolean) IS 'The Chinese number that these digits are without a doubt; null: there is doubt.';

CREATE OR REPLACE FUNCTION phone_local(p_digits text, p_area_code text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN (p_area_code ~ '^0?[3-9][0-9]{2}$' AND p_digits ~ '^[2-9][0-9]{6,7}$')
                  OR (p_area_code ~ '^0?(2[0-9]|10)$' AND p_digits ~ '^[2-9][0-9]{7}$')
                THEN '+86' || ltrim(p_area_code, '0') || p_digits END
$$;
COMMENT ON FUNCTION phone_local(text, text) IS 'A local number completed with the area code of its branch; null: it is none.';

CREATE OR REPLACE FUNCTION phone_number(p_text text, p_area_code text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_reading text;
    v_plus boolean;
    v_extension boolean;
    v_digits text;
    v_cuts text[];
    v_found text;
    v_rest text;
BEGIN
    IF p_text ~ '^(\+?86)?1[3-9][0-9]{9}$' THEN -- as the telephone shows a mobile: nearly always
        RETURN '+86' || right(p_text, 11);
    END IF;
    v_reading := phone_reading(p_text);
    v_plus := v_reading LIKE '+%';
    v_extension := v_reading LIKE '%x';
    v_digits := regexp_replace(v_reading, '[^0-9]', '', 'g');
    IF v_digits IS NULL OR length(v_digits) > 31 THEN
        RETURN NULL;
    END IF;
    -- Up to each dash, then the whole: "0416-2345678-801" is whole before the 801.
    SELECT array_agg(c.digits ORDER BY length(c.digits)) INTO v_cuts FROM (
        SELECT DISTINCT replace(array_to_string(x.parts[1:n], ''), '-', '') AS digits
        FROM (SELECT string_to_array(rtrim(ltrim(v_reading, '+'), 'x'), '-') AS parts) x
        CROSS JOIN generate_series(1, cardinality(x.parts)) n) c
    WHERE length(v_digits) - length(c.digits) <= 6;
    SELECT phone_definite(c.digits, v_plus) INTO v_found FROM unnest(v_cuts) WITH ORDINALITY AS c (digits, n)
        WHERE phone_definite(c.digits, v_plus) IS NOT NULL ORDER BY c.n LIMIT 1;
    IF v_found IS NOT NULL THEN
        RETURN v_found;
    END IF;
    IF v_plus OR v_digits ~ '^00.' THEN
        v_rest := ltrim(v_digits, '0');
        RETURN CASE WHEN length(v_digits) - length(v_rest) NOT IN (0, 2) THEN NULL
                    WHEN v_rest ~ '^86' THEN phone_chinese(substr(v_rest, 3))
                    WHEN length(v_rest) BETWEEN 7 AND 15 THEN '+' || v_rest END;
    ELSIF length(v_digits) BETWEEN 3 AND 6 THEN
        RETURN CASE WHEN NOT v_extension THEN v_digits END;
    END IF;
    SELECT phone_local(c.digits, p_area_code) INTO v_found FROM unnest(v_cuts) WITH ORDINALITY AS c (digits, n)
        WHERE phone_local(c.digits, p_area_code) IS NOT NULL ORDER BY c.n LIMIT 1;
    RETURN CASE WHEN v_found IS NOT NULL THEN v_found
                WHEN length(v_digits) >= 10 AND v_digits ~ '^86' THEN phone_chinese(substr(v_digits, 3))
                WHEN length(v_digits) >= 10 AND phone_is_landline(v_digits) THEN '+86' || v_digits
                WHEN length(v_digits) > 15 AND v_digits ~ '^1([12]|79)' THEN phone_definite(substr(v_digits, 6), false) END;
END $$;
COMMENT ON FUNCTION phone_number(text, text) IS
    'The stored spelling of a number as people write it, local ones with the branch''s area code; null: it is no number.';
GRANT EXECUTE ON FUNCTION phone_number(text, text), phone_reading(text), phone_is_service(text), phone_is_landline(text),
    phone_chinese(text), phone_definite(text, boolean), phone_local(text, text) TO ringback_console;
