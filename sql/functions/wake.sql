-- Wakes idle workers with NOTIFY df_work, at most 50 times a second over all sessions.
--
-- A commit with a NOTIFY holds a lock that all such commits share; so only the session that gets the advisory
-- lock of the current 20 ms notifies. A wake-up lost that way (its sender rolls back, or commits late) is made
-- up for by the workers' slow poll. `SET df.notify = off` makes it silent: PREPARE TRANSACTION refuses NOTIFY.
-- Locks: transaction-level advisory lock (1684431666, number of the 20 ms slot), never waited for.
CREATE OR REPLACE FUNCTION df._wake() RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF pg_catalog.current_setting('df.notify', true) IN ('off', 'false', 'no', '0') THEN
        RETURN;
    END IF;
    IF pg_catalog.pg_try_advisory_xact_lock(
        1684431666, ((pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 50)::bigint & 2147483647)::integer)
    THEN
        PERFORM pg_catalog.pg_notify('df_work', '');
    END IF;
END $$;
