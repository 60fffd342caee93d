-- A record that is not a SQL step's, by the worker: an HTTP response (value), a failure (error).
-- `token` is the fence's. `rider` is what goes along (df._ride), null for nothing.
-- Raises DX001 for a lost fence, DX002 when the path has a record, DX004 when a decision comes too late.
-- Locks: fence, then what the rider locks.
CREATE OR REPLACE FUNCTION df._record(
    token bytea, instance text, path text, kind text, value json, error json, rider json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    carries boolean := false;  -- something that is not the end of the instance
    alone boolean := false;
BEGIN
    PERFORM df._lock_fence($1, $2);
    IF $7 ->> 'status' IS NULL AND $7 IS NOT NULL THEN
        carries := true;
        alone := df._rides_alone($7, $3);
    END IF;
    journal := nextval('df.journal');
    finished := false;
    IF NOT alone THEN
        INSERT INTO df.checkpoints (instance_id, path, journal, kind, value, error)
        VALUES ($2, $3, journal, $4, $5, $6) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            PERFORM df._recorded_already($2, $3);
        END IF;
    END IF;
    IF carries THEN
        PERFORM df._ride($2, $3, journal, $7, CASE WHEN alone THEN $5 END);
    ELSIF $7 IS NOT NULL THEN
        cancel_reason := df._end_unless_cancelled($2, $7);
        finished := cancel_reason IS NULL;
    END IF;
END $$;
