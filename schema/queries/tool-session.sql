-- The administrator's tool works as the owner of the schema, whoever logged in. Its temporary tables come last in the path, so
-- that none of them can stand in for one of ours.
SET ROLE ringback_owner;
SET search_path = ringback, pg_temp;
SET client_min_messages = warning;
