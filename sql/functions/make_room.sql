-- Functions that PostgreSQL does not let replace, because they give something else than they did, make room: those of
-- the monitoring returned text while they did nothing. Locks: those of DROP FUNCTION, where there is one to drop.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND p.prorettype = 'text'::regtype
          AND p.proname IN ('list_instances', 'instance_info', 'instance_nodes', 'instance_executions', 'metrics')
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
