-- What has happened in an instance, in commit order, for the worker that holds it.
-- Locks: the fence, so that nothing is being added meanwhile.
CREATE OR REPLACE FUNCTION df._history(instance text, token bytea)
RETURNS TABLE (path text, journal bigint, kind text, columns text[], types oid[], cells text[],
               row_count bigint, value json, error json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($2, $1);
    RETURN QUERY
    SELECT c.path, c.journal, c.kind, c.columns, c.types, c.cells, c.row_count, c.value, c.error
    FROM df.checkpoints c WHERE c.instance_id = $1 ORDER BY c.journal;
END $$;
