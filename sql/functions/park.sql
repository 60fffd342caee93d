-- Gives an instance up until `seconds` have passed (infinity: for as long as it takes), a cancel request comes that its
-- driver did not know of (cancel_known), or news, where it listens for some: its fence stays, without a worker and
-- with a token that nobody has. Here, where nothing of the instance runs, its row says what it waits for, and for people
-- that is enough: the attempt that comes next, when, and which steps and timers are waited for.
-- `pausing`: it is given up because it is paused, and stays so if it still is.
-- Raises DX001 for a lost fence. Locks: the fence, then the instance's row.
CREATE OR REPLACE FUNCTION df._park(
    token bytea, instance text, seconds double precision, waiting_for text, cancel_known boolean, listens boolean DEFAULT false,
    listening text[] DEFAULT '{}', pausing boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    now constant timestamptz := clock_timestamp();
    wake timestamptz := CASE WHEN $3 = 'infinity' THEN 'infinity' ELSE now + make_interval(secs => greatest($3, 0)) END;
    keeps boolean := false;
    last bigint;
BEGIN
    PERFORM df._lock_fence($1, $2);
    IF pausing THEN
        last := (SELECT max(r.id) FROM df.requests r WHERE r.instance_id = $2 AND r.kind IN ('pause', 'resume'));
        keeps := EXISTS (SELECT FROM df.requests r WHERE r.id = last AND r.kind = 'pause')
                AND NOT EXISTS (SELECT FROM df.requests c WHERE c.instance_id = $2 AND c.kind = 'cancel');
        wake := CASE WHEN keeps THEN 'infinity' ELSE now END;
        DELETE FROM df.requests r WHERE r.instance_id = $2 AND r.kind IN ('pause', 'resume') AND r.id <= last;
    END IF;
    UPDATE df.fences f SET worker = NULL, token = df._new_token(), wake_at = wake, parked_at = now, cancel_known = $5, listens = $6
    WHERE f.instance_id = $2;
    UPDATE df.instances i
    SET waiting_for = $4, paused = keeps, next_attempt_at = nullif(wake, 'infinity'), updated_at = now, attempt = coalesce(w.attempt, i.attempt),
        current_steps = w.steps
    FROM (
        SELECT max(d.attempt) AS attempt, array_agg(d.path ORDER BY d.due_at, d.path) AS steps FROM (
            SELECT a.path, a.next_attempt_at AS due_at, a.attempts + 1 AS attempt FROM df.attempts_made a
            WHERE a.instance_id = $2 AND a.next_attempt_at > now
              AND NOT EXISTS (SELECT FROM df.checkpoints c WHERE c.instance_id = $2 AND c.path = a.path)
            UNION ALL
            SELECT k.path, k.due_at, NULL FROM df.marks k WHERE k.instance_id = $2 AND k.due_at > now
            UNION ALL
            SELECT u.path, NULL, NULL FROM unnest($7) AS u(path)
            ORDER BY 2, 1 LIMIT 100) AS d) AS w
    WHERE i.id = $2;
END $$;
