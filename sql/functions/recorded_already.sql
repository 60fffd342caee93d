-- The one way to say that an activation has its record: DX002. Locks: none.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._recorded_already(instance text, path text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'step % of instance % has a checkpoint already', path, instance USING ERRCODE = 'DX002',
        DETAIL = 'An earlier attempt has been recorded.';
END $$;
