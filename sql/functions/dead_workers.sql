-- Workers other than `me` that are dead: their advisory lock is free (the session that held it has ended), or
-- their lease has run out (paused, or cut off). Two sessions that try one lock at the same moment: one of them
-- takes it for held and finds out the next time.
-- Locks: transaction-level advisory lock (1684431665, id) of each worker found dead, never waited for.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._dead_workers(me bigint) RETURNS bigint[]
LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(array_agg(w.id), '{}') FROM df.workers w
    WHERE w.id <> me
      AND (NOT df._within_lease(w.heartbeat_at, w.lease_seconds)
           OR pg_try_advisory_xact_lock(1684431665, w.id::integer))
$$;
