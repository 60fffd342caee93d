-- Control flow: decisions, timers, loops, attempts, maps, rate limits, parked instances, undo.
\ir ../tables/marks.sql
\ir ../tables/attempts.sql
\ir ../tables/maps.sql
\ir ../tables/rate_limits.sql

-- A parked instance keeps its fence without a worker until wake_at, or until a request comes. What is parked
-- is in no index that a claim reads, but in the one that begins with the next that is due.
ALTER TABLE df.fences ADD COLUMN wake_at timestamptz,
    ADD CONSTRAINT fences_parked CHECK (wake_at IS NULL OR worker IS NULL);
DROP INDEX df.fences_worker;
CREATE INDEX fences_worker ON df.fences (worker) WHERE wake_at IS NULL;
CREATE INDEX fences_wake ON df.fences (wake_at) WHERE wake_at IS NOT NULL;

ALTER TABLE df.instances
    DROP CONSTRAINT instances_status_check,
    DROP CONSTRAINT instances_completed,
    DROP CONSTRAINT instances_error,
    ADD CONSTRAINT instances_status_check
        CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'compensated')),
    ADD CONSTRAINT instances_completed
        CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled', 'compensated'))),
    ADD CONSTRAINT instances_error CHECK (error IS NULL OR status IN ('failed', 'cancelled', 'compensated'));

-- What PostgreSQL does not let replace; all of it is put in place again by the code (rights included).
DO $$
DECLARE
    f regprocedure;
BEGIN
    IF to_regclass('df.nodes') IS NOT NULL THEN
        DROP VIEW df.nodes;
    END IF;
    FOR f IN SELECT p.oid FROM pg_proc p
             WHERE p.pronamespace = 'df'::regnamespace
               AND p.proname IN ('begin_step', 'checkpoint', '_record', '_history', '_claim', 'map_results', '_plan_nodes')
    LOOP
        EXECUTE format('DROP FUNCTION %s', f);
    END LOOP;
END $$;

-- Paths are compared byte by byte everywhere.
ALTER TABLE df.checkpoints ALTER COLUMN path TYPE text COLLATE "C";
