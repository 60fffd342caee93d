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
