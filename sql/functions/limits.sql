-- Limits on what a step may leave in the journal, as constants with a name. Locks: none.
CREATE OR REPLACE FUNCTION df._result_rows_max() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 10000::bigint $$;

CREATE OR REPLACE FUNCTION df._result_bytes_max() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 16777216::bigint $$;

CREATE OR REPLACE FUNCTION df._nesting_levels_max() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 256 $$;

CREATE OR REPLACE FUNCTION df._expression_bytes_max() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 67108864 $$;

CREATE OR REPLACE FUNCTION df._operators_max() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 3000 $$;

-- How many instances one call of df.list_instances gives: whoever wants more takes one page after the other.
CREATE OR REPLACE FUNCTION df._listed_instances_max() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 1000 $$;

-- The name of a signal, and its dedupe_key: both are in one index.
CREATE OR REPLACE FUNCTION df._key_bytes_max() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 1000 $$;

-- Labels, queues and keys are indexed: an entry has to fit into a third of a page, and not all have one byte a character.
CREATE OR REPLACE FUNCTION df._is_too_long(given text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT pg_catalog.length($1) > 1000 OR pg_catalog.octet_length($1) > 2000 $$;

CREATE OR REPLACE FUNCTION df._check_label(label text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF df._is_too_long(label) THEN
        RAISE EXCEPTION 'the label is too long' USING ERRCODE = '22001',
            DETAIL = 'A label has at most 1000 characters and 2000 bytes.', HINT = 'Put data into the workflow''s own tables.';
    END IF;
END $$;
