-- Last in a transaction of several steps: the fence, which each of them has only looked at, is locked now. So the
-- transaction commits only while the instance is ours, and a long one keeps no other step from recording.
-- `token` is that of `path`, as in df.checkpoint. Raises DX001. Locks: the fence FOR NO KEY UPDATE.
CREATE OR REPLACE FUNCTION df.commit_steps(token bytea, instance text, path text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM df._lock_activation($1, $2, $3);
END $$;

-- Looks at an instance's fence as df._lock_activation does, and leaves it unlocked. Raises DX001. Locks: none.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._check_activation(token bytea, instance text, path text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM df.fences f
    WHERE f.instance_id = instance AND sha256(f.token || convert_to(path, 'UTF8')) = $1
      AND f.submitted_by = quote_ident(session_user)::regrole;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fence of instance % is not yours', instance USING ERRCODE = 'DX001',
            DETAIL = 'Another worker has taken the instance over, it has ended, or the token is not for this step.';
    END IF;
END $$;
