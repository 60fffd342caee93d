-- Gives a fence another token, for a worker that has lost an answer: what it has sent under the old one has committed
-- by now and can be read, or is refused. Again with the same two tokens: nothing happens.
-- Raises DX001 for a lost fence. Locks: the fence FOR NO KEY UPDATE, so that it waits for whoever records.
CREATE OR REPLACE FUNCTION df._settle(token bytea, instance text, fresh bytea) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE df.fences f SET token = $3 WHERE f.instance_id = $2 AND f.token IN ($1, $3);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fence of instance % is not yours', $2 USING ERRCODE = 'DX001',
            DETAIL = 'Another worker has taken the instance over, or it has ended.';
    END IF;
END $$;
