-- Locks an instance's fence for a record and checks whose it is: `token` is the fence's own secret.
-- Raises DX001 when the fence is gone or another's. Locks: the fence FOR NO KEY UPDATE.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._lock_fence(token bytea, instance text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM df.fences f WHERE f.instance_id = instance AND f.token = $1 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fence of instance % is not yours', instance USING ERRCODE = 'DX001',
            DETAIL = 'Another worker has taken the instance over, or it has ended.';
    END IF;
END $$;
