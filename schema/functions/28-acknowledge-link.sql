-- The link in a notification by which its recipient says that he knows (acknowledge_url). It names branch, follow-up and
-- recipient, and carries a code that only this database can make, so that nothing is kept for it and the body stays the same
-- on every attempt. What opening and posting it do is in 44-acknowledge.sql.

-- Nested like HMAC, over a text of fixed length: pgcrypto is not asked for. 16 bytes of it are enough.
CREATE OR REPLACE FUNCTION acknowledge_token(p_branch integer, p_follow_up bigint, p_person integer) RETURNS text
LANGUAGE plpgsql STABLE STRICT AS $$
DECLARE
    v_named bytea := int4send(p_branch) || int8send(p_follow_up) || int4send(p_person);
    v_secret bytea := (SELECT k.secret FROM acknowledge_keys k WHERE k.branch_id = p_branch);
BEGIN
    RETURN rtrim(translate(encode(v_named || substr(sha256(v_secret || sha256(v_secret || 'acknowledge'::bytea || v_named)), 1, 16), 'base64'),
                           E'+/\n', '-_'), '=');
END $$;
COMMENT ON FUNCTION acknowledge_token(integer, bigint, integer) IS 'What stands behind /a/ in the link for this recipient: 43 letters, digits, "-" and "_".';

CREATE OR REPLACE FUNCTION acknowledge_link(p_branch integer, p_follow_up bigint, p_person integer) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT rtrim(nullif(current_setting('ringback.public_url', true), ''), '/') || '/a/' || acknowledge_token(p_branch, p_follow_up, p_person)
$$;
COMMENT ON FUNCTION acknowledge_link(integer, bigint, integer) IS 'acknowledge_url of a notification; null without a public_url or a recipient.';
