-- Variables; and what makes room for functions that now take other arguments or give other columns.
\ir ../tables/vars.sql

-- The variables that an instance's expression mentions, with the values of its start; null: it mentions none.
ALTER TABLE df.instances ADD COLUMN variables jsonb CHECK (pg_catalog.jsonb_typeof(variables) = 'object');

-- A plan is made for an expression and the values of its variables (SHA-256 of their canonical text; empty: none).
ALTER TABLE df.plans ADD COLUMN variables_hash bytea NOT NULL DEFAULT ''
    CHECK (pg_catalog.octet_length(variables_hash) IN (0, 32));
ALTER TABLE df.plans DROP CONSTRAINT plans_pkey;
ALTER TABLE df.plans ADD PRIMARY KEY (expression_hash, variables_hash, compiler_version);

-- Not DROP IF EXISTS, which would speak up in every new installation.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    FOR old IN
        SELECT p.oid FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'df'::regnamespace AND (
            (p.proname = 'map' AND 'max_attempts' = ANY (p.proargnames))
            OR (p.proname IN ('join3', '_group') AND p.pronargs = 3)
            OR (p.proname = 'map_results' AND NOT p.proretset)
            OR (p.proname = '_claim' AND NOT 'variables' = ANY (p.proargnames)))
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END LOOP;
END $$;
