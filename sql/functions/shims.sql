-- What pg_durable has and this has no use for: there to be called, so that scripts go on. Locks: see df._wake.

-- Workers find what is pending by themselves; this wakes them once more.
CREATE OR REPLACE FUNCTION df.run(instance_id text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM df._wake();
    RETURN CASE WHEN instance_id IS NULL THEN 'Triggered run for all pending instances'
                ELSE 'Triggered run for instance: ' || instance_id END;
END $$;

-- The schema of the engine's own tables: pg_durable has one beside df, here it is df itself.
CREATE OR REPLACE FUNCTION df.duroxide_schema() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'df'::text $$;

-- The database whose workflows run here.
CREATE OR REPLACE FUNCTION df.target_database() RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT pg_catalog.current_database()::text $$;
