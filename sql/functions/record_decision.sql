-- Records a decision, by the worker; the first that was recorded counts and is given back.
-- Raises DX001 for a lost fence. Locks: the fence.
CREATE OR REPLACE FUNCTION df._record_decision(
    token bytea, instance text, path text, INOUT value json, OUT journal bigint)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    INSERT INTO df.marks AS k (instance_id, path, kind, journal, value)
    VALUES ($2, $3, 'decided', nextval('df.journal'), $4) ON CONFLICT DO NOTHING
    RETURNING k.journal INTO journal;
    IF NOT FOUND THEN
        SELECT k.journal, k.value INTO journal, value FROM df.marks k WHERE k.instance_id = $2 AND k.path = $3;
    END IF;
END $$;
