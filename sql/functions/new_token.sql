-- A fence's secret: 16 bytes from PostgreSQL's strong random source. Locks: none.
CREATE OR REPLACE FUNCTION df._new_token() RETURNS bytea
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) FROM 1 FOR 16)
$$;
