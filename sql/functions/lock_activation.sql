-- Locks an instance's fence for a record by a step itself, on a connection of the submitter: `token` is the
-- activation's, sha256(fence token, path in UTF-8). Raises DX001 where it is not for this path, or the fence is
-- gone or another's. Locks: the fence FOR NO KEY UPDATE.
-- Called from functions that pin search_path; session_user is the step's role also where they are SECURITY DEFINER.
CREATE OR REPLACE FUNCTION df._lock_activation(token bytea, instance text, path text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM df.fences f
    WHERE f.instance_id = instance AND sha256(f.token || convert_to(path, 'UTF8')) = $1
      AND f.submitted_by = quote_ident(session_user)::regrole
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fence of instance % is not yours', instance USING ERRCODE = 'DX001',
            DETAIL = 'Another worker has taken the instance over, it has ended, or the token is not for this step.';
    END IF;
END $$;
