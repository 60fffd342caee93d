-- When and how instances start: keys, times, queues; definitions; schedules.
\ir ../tables/definitions.sql
\ir ../tables/debounces.sql
\ir ../tables/key_locks.sql
\ir ../tables/schedules.sql

-- ready: a claim may take it. Otherwise its time has not come (due_at says when; a debounced one can be joined as long), or
-- it is held: as many run under its key as may.
ALTER TABLE df.instances
    ADD COLUMN ready boolean NOT NULL DEFAULT true,
    ADD COLUMN held boolean NOT NULL DEFAULT false,
    ADD COLUMN due_at timestamptz,
    ADD COLUMN timeout interval CHECK (timeout > interval '0'),
    ADD COLUMN idempotency_key text CHECK (pg_catalog.length(idempotency_key) BETWEEN 1 AND 1000),
    ADD COLUMN concurrency_key text CHECK (pg_catalog.length(concurrency_key) BETWEEN 1 AND 1000),
    ADD COLUMN concurrency_limit integer CHECK (concurrency_limit > 0),
    ADD COLUMN debounce_key text CHECK (pg_catalog.length(debounce_key) BETWEEN 1 AND 1000),
    ADD COLUMN definition text,
    ADD COLUMN definition_version integer,
    ADD COLUMN parent text,
    ADD COLUMN schedule bigint,
    ADD COLUMN scheduled_at timestamptz,
    ADD CONSTRAINT instances_queue CHECK (pg_catalog.length(queue) BETWEEN 1 AND 1000),
    ADD CONSTRAINT instances_due CHECK (ready OR (status = 'pending' AND (held OR due_at IS NOT NULL))),
    ADD CONSTRAINT instances_held CHECK (NOT held OR (NOT ready AND concurrency_key IS NOT NULL)),
    ADD CONSTRAINT instances_concurrency CHECK ((concurrency_key IS NULL) = (concurrency_limit IS NULL)),
    ADD CONSTRAINT instances_scheduled CHECK ((schedule IS NULL) = (scheduled_at IS NULL)),
    ADD CONSTRAINT instances_definition CHECK ((definition IS NULL) = (definition_version IS NULL));

-- What is pending is found role by role and queue by queue: of what nobody serves a claim reads one row.
DROP INDEX df.instances_pending;
CREATE INDEX instances_pending ON df.instances (submitted_by, queue, priority DESC, id) WHERE started_at IS NULL AND ready;
CREATE INDEX instances_keyed ON df.instances (submitted_by, concurrency_key, priority DESC, id)
    WHERE started_at IS NULL AND concurrency_key IS NOT NULL;
CREATE INDEX instances_due ON df.instances (due_at) WHERE started_at IS NULL AND NOT ready AND NOT held;
CREATE UNIQUE INDEX instances_idempotency ON df.instances (submitted_by, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX instances_debounce ON df.instances (submitted_by, debounce_key)
    WHERE started_at IS NULL AND NOT ready AND NOT held AND debounce_key IS NOT NULL;

-- A tick of a schedule starts one instance.
CREATE UNIQUE INDEX instances_tick ON df.instances (schedule, scheduled_at) WHERE schedule IS NOT NULL;

-- Who runs under a key is counted where it is known who runs.
ALTER TABLE df.fences ADD COLUMN concurrency_key text;
CREATE INDEX fences_key ON df.fences (submitted_by, concurrency_key) WHERE concurrency_key IS NOT NULL;

-- The queues that a worker serves; null: all.
ALTER TABLE df.workers ADD COLUMN queues text[];

-- What makes room for functions that now take other arguments or give other columns.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND (
            (p.proname = '_claim' AND NOT 'timeout_seconds' = ANY (p.proargnames))
            OR (p.proname = '_register_worker' AND NOT 'queues' = ANY (p.proargnames))
            OR (p.proname = '_is_readable' AND p.pronargs = 2)
            OR (p.proname = '_check_start' AND p.pronargs > 1)
            OR (p.proname = 'start' AND p.proargtypes[9] = 'text'::regtype)
            OR (p.proname = 'define' AND p.pronargs = 5))
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
