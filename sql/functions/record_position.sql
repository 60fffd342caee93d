-- Records where a loop or retry stands, in the place of the position before, and forgets what the rounds before
-- have recorded. `seconds` after a failed attempt: until the next one; a repeated call starts no wait anew.
-- Gives how many seconds are left. Raises DX001 for a lost fence. Locks: the fence, then what is forgotten.
CREATE OR REPLACE FUNCTION df._record_position(
    token bytea, instance text, path text, round bigint, carry json, forget text[], seconds double precision, error json)
RETURNS double precision
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now constant timestamptz := clock_timestamp();
    due timestamptz := CASE WHEN $7 > 0 THEN now + make_interval(secs => $7) END;
BEGIN
    PERFORM df._lock_fence($1, $2);
    INSERT INTO df.marks AS k (instance_id, path, kind, round, value, due_at, error)
    VALUES ($2, $3, 'position', $4, $5, due, $8)
    ON CONFLICT (instance_id, path) DO UPDATE
    SET round = excluded.round, value = excluded.value, error = excluded.error, made_at = excluded.made_at,
        due_at = CASE WHEN k.round = excluded.round THEN least(k.due_at, excluded.due_at) ELSE excluded.due_at END
    RETURNING k.due_at INTO due;
    IF cardinality($6) > 0 THEN
        PERFORM df._forget($2, $6);
    END IF;
    RETURN coalesce(date_part('epoch', due - now), 0);
END $$;
