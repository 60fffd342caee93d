-- What follows when an instance has been made: its submitter is told what it waits for, where that is not only its time, and
-- idle workers are woken. `waits` is its waiting_for. Locks: none that another session could wait for (see df._wake).
CREATE OR REPLACE FUNCTION df._announce(started text, waits text, queue text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF waits = 'a worker' THEN
        RAISE NOTICE 'instance % waits: no worker is alive', started
            USING HINT = 'Start one: dfc worker --database ...';
    ELSIF pg_catalog.starts_with(waits, 'a worker that serves role') THEN
        RAISE WARNING 'instance % waits: no worker serves role %', started, pg_catalog.quote_ident(CURRENT_USER)
            USING DETAIL = 'A worker runs the workflows of the roles that it logs in as.', HINT = df._way_to_be_served(CURRENT_USER);
    ELSIF pg_catalog.starts_with(waits, 'a worker that serves queue') THEN
        RAISE NOTICE 'instance % waits: no worker serves %', started, pg_catalog.substr(waits, 22)
            USING DETAIL = 'A worker that was started with --queue runs what is in those queues only.',
            HINT = pg_catalog.format('Start one: dfc worker --queue %s --database ...',
                CASE WHEN queue ~ '^[A-Za-z0-9_.-]+$' THEN queue ELSE pg_catalog.quote_literal(queue) END);
    END IF;
    PERFORM df._wake();
END $$;
