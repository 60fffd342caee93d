-- JSON as jsonb, or as a JSON string where jsonb cannot hold it. Locks: none.
CREATE OR REPLACE FUNCTION df._as_jsonb(value text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN value::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN pg_catalog.to_jsonb(value);
END $$;
