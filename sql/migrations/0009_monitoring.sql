-- What df.list_instances looks for in a table of a million instances that have ended: those of one role, with one
-- label, with an error. The first two are written when an instance starts and when it is claimed: 4 and 16 microseconds
-- of processor time together, of some hundreds that a start takes (the second only for what has a label); the third
-- only when an instance fails. No column of them changes when an instance completes: that stays a heap-only update.
CREATE INDEX instances_submitter ON df.instances (submitted_by, id);
CREATE INDEX instances_label ON df.instances (label, id) WHERE label IS NOT NULL;
CREATE INDEX instances_errors ON df.instances (id) WHERE error IS NOT NULL;

-- Functions that gave a text while they did nothing.
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
