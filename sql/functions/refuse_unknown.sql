-- Refuses an instance that is not there, or not the caller's to see: the two are not told apart. `detail` says what was
-- not done, or whose it has to be. Raises P0002. Locks: none.
CREATE OR REPLACE FUNCTION df._refuse_unknown(instance_id text, detail text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION 'Instance not found or access denied: %', coalesce(instance_id, 'NULL') USING ERRCODE = 'P0002',
        DETAIL = detail, HINT = 'SELECT id, label FROM df.instances shows yours.';
END $$;
