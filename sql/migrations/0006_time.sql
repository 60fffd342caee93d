-- Signals, and what waits for other instances.
\ir ../tables/signals.sql

-- wake: there is news for the instance (a signal, the end of an instance that it waits for). Whoever has the news
-- inserts it, and a look for news takes it away.
ALTER TABLE df.requests DROP CONSTRAINT requests_kind_check,
    ADD CONSTRAINT requests_kind_check CHECK (kind IN ('cancel', 'wake'));

-- A parked instance that listens is woken by news.
ALTER TABLE df.fences ADD COLUMN listens boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT fences_listens CHECK (wake_at IS NOT NULL OR NOT listens);

-- child: the instance that a call has started; awaited: an instance whose end is waited for. The end of an instance
-- looks for both here.
ALTER TABLE df.marks ADD COLUMN other text,
    DROP CONSTRAINT marks_kind_check,
    DROP CONSTRAINT marks_parts,
    ADD CONSTRAINT marks_kind_check CHECK (kind IN ('decided', 'timer', 'position', 'child', 'awaited')),
    ADD CONSTRAINT marks_other CHECK ((other IS NOT NULL) = (kind IN ('child', 'awaited'))),
    ADD CONSTRAINT marks_parts CHECK (CASE kind
        WHEN 'decided' THEN value IS NOT NULL AND due_at IS NULL AND error IS NULL
        WHEN 'timer' THEN value IS NULL AND due_at IS NOT NULL AND error IS NULL
        WHEN 'position' THEN value IS NOT NULL
        ELSE value IS NULL AND due_at IS NULL AND error IS NULL END);
CREATE INDEX marks_of_others ON df.marks (other) WHERE other IS NOT NULL;

-- Which record the result of a completed instance is; null where it is none.
ALTER TABLE df.instances ADD COLUMN result_path text;

-- What makes room for functions that now take other arguments or give other columns.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND (
            (p.proname IN ('_park', '_history') AND NOT p.proargnames && '{listens,moment}')
            OR (p.proname = '_start_timer' AND NOT 'until' = ANY (p.proargnames))
            OR p.proname IN ('signal', 'signal_all'))
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
