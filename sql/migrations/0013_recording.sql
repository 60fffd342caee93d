-- Recorded journals (docs/adr/0034-recorded-journals.md).

-- recorded: whoever drives it writes down what has happened, and what was decided.
ALTER TABLE df.instances ADD COLUMN recorded boolean NOT NULL DEFAULT false;

\ir ../tables/journal_entries.sql

-- What makes room for a function that now gives another column.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND p.proname = '_claim' AND NOT 'recorded' = ANY (p.proargnames)
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
