-- What keeps the tables bounded: retention, the archive, and room for heap-only updates.
\ir ../tables/retention.sql

-- How long an instance of it is kept when it has ended; null: as df.retention says.
ALTER TABLE df.definitions ADD COLUMN keep_finished interval
    CHECK (keep_finished > interval '0' AND keep_finished <= interval '1000 years');
-- What its definition said when it was started, a month as 30 days. It never changes, so the index costs updates nothing.
ALTER TABLE df.instances ADD COLUMN keep_finished interval;
CREATE INDEX instances_kept ON df.instances (keep_finished, id) WHERE keep_finished IS NOT NULL;

-- Nobody looks for ticks through it: all schedules are looked at. Without it a tick is a heap-only update.
DROP INDEX df.schedule_states_next;

-- It takes one more argument now.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND p.proname = 'define' AND NOT 'keep_finished' = ANY (p.proargnames)
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
