-- Whether a worker is alive by its lease, as people are told: it has been heard of within it. Of one row of df.workers. Where
-- the clock has been set, until the next heartbeats none is; what workers think of each other is df._dead_workers.
-- VOLATILE and without a SET clause, so that PostgreSQL puts it in line. Locks: none.
CREATE OR REPLACE FUNCTION df._within_lease(heartbeat_at timestamptz, lease_seconds double precision) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT pg_catalog.abs(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) heartbeat_at))
           OPERATOR(pg_catalog.<) lease_seconds
$$;
