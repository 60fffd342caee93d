-- A worker announces itself: its row, and a session advisory lock whose freedom will tell its death.
-- `roles` are those whose workflows it runs; null: everybody's, as in df._claim. `queues` are those that it serves; null: all.
-- An id whose lock somebody else holds is skipped, so nobody can keep a worker from starting.
-- Locks: session advisory lock (1684431665, id); the row of df.meta when this compiler is newer.
CREATE OR REPLACE FUNCTION df._register_worker(
    host text, pid integer, version text, compiler_version integer, plan_formats integer[],
    lease_seconds double precision, slots integer, roles name[] DEFAULT NULL,
    queues text[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    worker integer;
BEGIN
    LOOP
        worker := nextval('df.worker_ids');
        EXIT WHEN NOT EXISTS (SELECT FROM df.workers w WHERE w.id = worker)
              AND pg_try_advisory_lock(1684431665, worker);
    END LOOP;
    INSERT INTO df.workers (id, host, pid, version, compiler_version, plan_formats, lease_seconds, slots, roles, queues)
    VALUES (worker, $1, $2, $3, $4, $5, $6, $7, $8, $9);
    UPDATE df.meta m SET compiler_version = $4 WHERE m.compiler_version < $4;
    RETURN worker;
END $$;
