-- Workers other than `me` that are dead: their advisory lock is free (the session that held it has ended), or
-- their lease has run out (paused, or cut off): so many beats of `me` ago it had beaten as often as now. Of those, one
-- is at least a third of the lease of `me` (BEATS_A_LEASE of executor/heartbeat.py). No clock is asked: it may have been set.
-- Two sessions that try one lock at the same moment: one of them takes it for held and finds out the next time.
-- Locks: transaction-level advisory lock (1684431665, id) of each worker found dead, never waited for.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._dead_workers(me bigint) RETURNS bigint[]
LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(array_agg(w.id), '{}') FROM df.workers w
    LEFT JOIN df.workers m ON m.id = me
    CROSS JOIN LATERAL (SELECT array_position(m.seen_workers, w.id) AS place) AS p
    WHERE w.id <> me
      AND (coalesce(m.seen_beats[p.place] = w.beats
                    AND (m.beats - m.seen_since[p.place]) * m.lease_seconds >= 3 * w.lease_seconds, false)
           OR pg_try_advisory_xact_lock(1684431665, w.id::integer))
$$;
