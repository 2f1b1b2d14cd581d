-- What must be there before the first migration: the roles, the schema, and the register of migrations. Run by
-- `ringback migrate` under its advisory lock each time; does nothing when all is there.
DO $$
BEGIN
    -- Roles belong to the whole cluster, the lock to one database: another one's migration may make them meanwhile.
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ringback_owner') THEN
            CREATE ROLE ringback_owner NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ringback_app') THEN
            CREATE ROLE ringback_app NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ringback_console') THEN
            CREATE ROLE ringback_console NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    -- Whoever migrates works as the owner from here on; a superuser needs no membership.
    IF NOT pg_has_role(current_user, 'ringback_owner', 'MEMBER') THEN
        EXECUTE format('GRANT ringback_owner, ringback_app, ringback_console TO %I', current_user);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'ringback') THEN
        CREATE SCHEMA ringback AUTHORIZATION ringback_owner;
    END IF;
END $$;
CREATE TABLE IF NOT EXISTS ringback.migrations (
    name       text        PRIMARY KEY,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE ringback.migrations OWNER TO ringback_owner;
COMMENT ON TABLE ringback.migrations IS 'Scripts that ran here: migrations once, functions whenever their text changed.';
