-- Ends an instance, by the worker that holds it. Raises DX001 for a lost fence. Locks: fence, then instance.
CREATE OR REPLACE FUNCTION df._finish(token bytea, instance text, finish json) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM df._lock_fence(token, instance);
    PERFORM df._end_instance(instance, finish);
END $$;
