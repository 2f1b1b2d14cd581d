-- References of orders and complaints: nine digits from the branch's sequence and Damm's check digit behind them.

CREATE OR REPLACE FUNCTION damm_step(interim integer, digit bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- The table of order 10 that H. M. Damm published (2004), row by row: byte 10 × interim + digit.
    SELECT get_byte('\x00030107050908060402070009020105040806030402000608070103050901070500090803040206060102030004050907080306070402000905080105080609070200010304080904050306020001070904030806010702000502050801040306070900'::bytea,
                    (interim * 10 + digit)::integer)
$$;
COMMENT ON FUNCTION damm_step(integer, bigint) IS 'One step of Damm''s check: the next interim digit.';

CREATE OR REPLACE FUNCTION reference_of(body bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT body * 10 +
        ringback.damm_step(ringback.damm_step(ringback.damm_step(
        ringback.damm_step(ringback.damm_step(ringback.damm_step(
        ringback.damm_step(ringback.damm_step(ringback.damm_step(0, body / 100000000 % 10), body / 10000000 % 10), body / 1000000 % 10),
            body / 100000 % 10), body / 10000 % 10), body / 1000 % 10),
            body / 100 % 10), body / 10 % 10), body % 10)
$$;
COMMENT ON FUNCTION reference_of(bigint) IS 'The ten digits of a reference from its nine-digit body.';

CREATE OR REPLACE FUNCTION reference_is_valid(reference text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN reference ~ '^[1-9][0-9]{9}$'
                THEN ringback.reference_of(left(reference, 9)::bigint) = reference::bigint
                ELSE false END
$$;
COMMENT ON FUNCTION reference_is_valid(text) IS 'Ten digits, the first not 0, the last right.';
