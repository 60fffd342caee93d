-- A record that is not a SQL step's, by the worker: an HTTP response (value), a failure (error).
-- `token` is the fence's. With `finish` and no cancel request it also ends the instance.
-- Raises DX001 for a lost fence, DX002 when the path has a record. Locks: fence, then instance.
CREATE OR REPLACE FUNCTION df._record(
    token bytea, instance text, path text, kind text, value json, error json, finish json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    journal := nextval('df.journal');
    INSERT INTO df.checkpoints (instance_id, path, journal, kind, value, error)
    VALUES ($2, $3, journal, $4, $5, $6) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'step % of instance % has a checkpoint already', $3, $2 USING ERRCODE = 'DX002',
            DETAIL = 'An earlier attempt has been recorded.';
    END IF;
    finished := false;
    IF $7 IS NOT NULL THEN
        cancel_reason := df._cancel_reason($2);
        IF cancel_reason IS NULL THEN
            PERFORM df._end_instance($2, $7);
            finished := true;
        END IF;
    END IF;
END $$;
