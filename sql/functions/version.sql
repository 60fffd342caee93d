-- The schema's version, as text. Locks: none.
CREATE OR REPLACE FUNCTION df.version() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'dfc schema ' || schema_version || ' (compiler ' || compiler_version || ')' FROM df.meta
$$;
