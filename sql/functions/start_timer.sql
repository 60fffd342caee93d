-- Starts a timer, unless it runs already; gives how many seconds are left (below 0: it is over).
-- Raises DX001 for a lost fence. Locks: the fence.
CREATE OR REPLACE FUNCTION df._start_timer(token bytea, instance text, path text, seconds double precision)
RETURNS double precision
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now constant timestamptz := clock_timestamp();
BEGIN
    PERFORM df._lock_fence($1, $2);
    INSERT INTO df.marks (instance_id, path, kind, due_at)
    VALUES ($2, $3, 'timer', now + make_interval(secs => $4)) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN $4;
    END IF;
    RETURN (SELECT date_part('epoch', k.due_at - now) FROM df.marks k WHERE k.instance_id = $2 AND k.path = $3);
END $$;
