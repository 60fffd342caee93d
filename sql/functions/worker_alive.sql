-- Whether a worker has been seen within its lease. SECURITY DEFINER: users may not read df.workers.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._worker_alive() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM df.workers w WHERE df._within_lease(w.heartbeat_at, w.lease_seconds))
$$;
