-- A worker leaves: what it held is up for take-over at once, and the others are told.
-- Locks: its fences (waits for its last steps to end), then its row; gives its advisory lock up.
CREATE OR REPLACE FUNCTION df._unregister_worker(worker bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM df.fences f WHERE f.worker = $1 AND f.wake_at IS NULL ORDER BY f.instance_id FOR NO KEY UPDATE;
    UPDATE df.fences f SET worker = NULL WHERE f.worker = $1 AND f.wake_at IS NULL;
    DELETE FROM df.workers w WHERE w.id = $1;
    PERFORM df._forget_requests();
    PERFORM df._forget_rate_limits();
    -- Where another session asks, there is nothing of its own to unlock (a warning otherwise).
    IF EXISTS (SELECT FROM pg_locks l
               WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.classid = 1684431665
                 AND l.objid = $1::oid AND l.objsubid = 2) THEN
        PERFORM pg_advisory_unlock(1684431665, $1::integer);
    END IF;
    PERFORM pg_notify('df_work', '');
END $$;
