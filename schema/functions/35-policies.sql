-- Which policy a complaint is under. Conditions (retailer class, kind, category, severity) are data; one that is null means
-- any, a severity means this one and up, and what a complaint lacks meets no condition.
--
-- The policy with the most conditions wins; of two with equally many that both name a severity, the one with the higher. Others
-- that are equally specific and can meet are refused when they are saved (84-api-policies.sql), so the last rule, the newer
-- version and then the lower id, decides only for rows that came another way.

DROP FUNCTION IF EXISTS policy_for(integer, text, text);

CREATE OR REPLACE FUNCTION policy_for(p_branch integer, p_class text, p_kind text, p_category text, p_severity integer) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT policy_id FROM policies
        WHERE branch_id = p_branch AND valid_from <= now() AND (valid_until IS NULL OR valid_until > now())
          AND (class IS NULL OR class = p_class) AND (kind IS NULL OR kind = p_kind)
          AND (category IS NULL OR category = p_category) AND (severity IS NULL OR severity <= p_severity)
        ORDER BY num_nonnulls(class, kind, category, severity) DESC, severity DESC NULLS LAST, version DESC, policy_id LIMIT 1);
END $$;
COMMENT ON FUNCTION policy_for(integer, text, text, text, integer) IS
    'The policy in force with the most conditions that fit; every branch has one without conditions.';

-- Two rules can meet when no condition keeps them apart.
CREATE OR REPLACE FUNCTION policies_contend(p policies, q policies) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT num_nonnulls(p.class, p.kind, p.category, p.severity) = num_nonnulls(q.class, q.kind, q.category, q.severity)
        AND coalesce(p.class = q.class, true) AND coalesce(p.kind = q.kind, true) AND coalesce(p.category = q.category, true)
        AND coalesce(p.severity = q.severity, true)
$$;
COMMENT ON FUNCTION policies_contend(policies, policies) IS
    'Whether two policies are equally specific and can both hold for one complaint. Two severities are not: the higher one wins.';
