-- Who may do what. ringback_owner owns everything and migrates; the administrator's tool works as it. ringback_app is the
-- daemon's: it reads, and it writes only through functions (SECURITY DEFINER, each grants itself), so that a fault in C can
-- neither forge nor remove a row. Beyond rights, triggers keep everybody from removing history.

GRANT USAGE ON SCHEMA ringback TO ringback_app;
GRANT SELECT ON ALL TABLES IN SCHEMA ringback TO ringback_app;
REVOKE SELECT ON accounts FROM ringback_app;
-- Not "IN SCHEMA": a default for one schema can only add to the general one, which lets everybody execute.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never removed', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Retire the row instead: set retired_at.';
END $$;
COMMENT ON FUNCTION refuse_removal() IS 'Keeps history and what history refers to: no role may delete or truncate.';

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['branches', 'people', 'retailers', 'retailer_changes', 'products', 'order_cycles',
        'gateways', 'sources', 'events', 'event_bodies', 'calls', 'orders', 'order_lines', 'complaints', 'policies',
        'policy_steps', 'follow_ups', 'follow_up_history', 'follow_up_steps', 'targets', 'notifications',
        'notification_attempts', 'accounts', 'audit_log'] LOOP
        EXECUTE format('CREATE TRIGGER keep_rows BEFORE DELETE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_removal()', kept);
        EXECUTE format('CREATE TRIGGER keep_table BEFORE TRUNCATE ON %I EXECUTE FUNCTION refuse_removal()', kept);
    END LOOP;
END $$;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
COMMENT ON FUNCTION refuse_change() IS 'Keeps what only grows.';

DO $$
DECLARE
    kept text;
BEGIN
    FOREACH kept IN ARRAY ARRAY['retailer_changes', 'events', 'event_bodies', 'follow_up_history',
        'notification_attempts', 'audit_log'] LOOP
        EXECUTE format('CREATE TRIGGER keep_values BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION refuse_change()', kept);
    END LOOP;
END $$;
