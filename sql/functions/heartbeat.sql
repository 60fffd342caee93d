-- A worker says that it lives. False: its row is gone, another worker has declared it dead.
-- Locks: the worker's own row.
CREATE OR REPLACE FUNCTION df._heartbeat(worker bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE df.workers w SET heartbeat_at = clock_timestamp() WHERE w.id = worker;
    RETURN FOUND;
END $$;
