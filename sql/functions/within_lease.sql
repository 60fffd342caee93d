-- Whether a worker is alive by its lease: it has been heard of within it. Of one row of df.workers.
-- VOLATILE and without a SET clause, so that PostgreSQL puts it in line. Locks: none.
CREATE OR REPLACE FUNCTION df._within_lease(heartbeat_at timestamptz, lease_seconds double precision) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT heartbeat_at OPERATOR(pg_catalog.>)
           (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) (lease_seconds OPERATOR(pg_catalog.*) '1 second'::pg_catalog.interval))
$$;
