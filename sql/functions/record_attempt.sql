-- Records a failed or lost attempt, in the place of the one before, and when the next one is due: how many have failed,
-- and of how many nothing is known. That an attempt has begun is forgotten. The instance's row, which everybody reads,
-- is left alone: what it waits for stands there when it is parked (df._park). Raises DX001 for a lost fence.
-- Locks: the fence.
CREATE OR REPLACE FUNCTION df._record_attempt(
    token bytea, instance text, path text, attempts integer, losses integer, seconds double precision,
    error json) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now constant timestamptz := clock_timestamp();
BEGIN
    PERFORM df._lock_fence($1, $2);
    INSERT INTO df.attempts_made (instance_id, path, attempts, losses, last_error, next_attempt_at, made_at)
    VALUES ($2, $3, $4, $5, $7, now + make_interval(secs => $6), now)
    ON CONFLICT (instance_id, path) DO UPDATE
    SET attempts = excluded.attempts, losses = excluded.losses, last_error = excluded.last_error,
        next_attempt_at = excluded.next_attempt_at, made_at = excluded.made_at, begun_at = NULL;
END $$;

-- Records that an attempt that may happen once only begins now. Raises DX001 for a lost fence. Locks: the fence.
CREATE OR REPLACE FUNCTION df._record_beginning(token bytea, instance text, path text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    INSERT INTO df.attempts_made AS a (instance_id, path, begun_at) VALUES ($2, $3, clock_timestamp())
    ON CONFLICT (instance_id, path) DO UPDATE SET begun_at = coalesce(a.begun_at, excluded.begun_at);
END $$;
