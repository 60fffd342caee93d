-- A fence's secret: 16 bytes from PostgreSQL's strong random source. Locks: none.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._new_token() RETURNS bytea
LANGUAGE sql VOLATILE AS $$
    SELECT substring(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) FROM 1 FOR 16)
$$;
