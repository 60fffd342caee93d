-- Instances that may be what their workers die of (docs/adr/0037-suspects.md).

-- deaths: how many workers in a row were dead when the instance was taken over from them, without a checkpoint in between.
-- recorded_to: its last checkpoint when it was taken over.
ALTER TABLE df.fences
    ADD COLUMN deaths integer NOT NULL DEFAULT 0,
    ADD COLUMN recorded_to bigint;

-- What makes room for functions that now give other columns.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND p.proname = '_claim' AND NOT 'deaths' = ANY (p.proargnames)
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
