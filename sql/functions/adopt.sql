-- Declares this database the original: after it, workers run what is in it. `cluster` is what
-- pg_control_system says, null where it does not. Locks: the row of df.meta.
CREATE OR REPLACE FUNCTION df._adopt(cluster bigint) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
    UPDATE df.meta SET system_identifier = cluster,
                       database_oid = (SELECT oid FROM pg_database WHERE datname = current_database())
$$;
