-- What is recorded of one activation, for the worker that holds the instance: no row while nothing is.
-- Locks: the fence, so that nothing is being added meanwhile.
CREATE OR REPLACE FUNCTION df._record_of(instance text, token bytea, path text) RETURNS SETOF df.checkpoints
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM df._lock_fence($2, $1);
    RETURN QUERY SELECT c.* FROM df.checkpoints c WHERE c.instance_id = $1 AND c.path = $3;
END $$;
