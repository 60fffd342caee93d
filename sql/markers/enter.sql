-- Puts up the fence of an instance: whoever runs something for it under a lower epoch does not commit any more, or has
-- committed. Gives the paths of the markers that are there, in the order in which they were made.
--
-- `issued_at` is when the holder of the real fence was permitted to do this (df._permit), by the clock of the same
-- server. An old permit is refused (DX005), so that what has been cleared away after the end of the instance is not put up
-- again by a worker that was paused. DX001: somebody with a higher epoch was here.
-- Locks: the fence, so that it waits for a transaction that is about to commit under the epoch before.
CREATE OR REPLACE FUNCTION df_markers.enter(key bytea, instance text, epoch bigint, issued_at timestamptz) RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    me constant regrole := quote_ident(session_user)::regrole;
BEGIN
    IF clock_timestamp() > $4 + interval '60 seconds' THEN
        RAISE EXCEPTION 'the permit for instance % is too old', $2 USING ERRCODE = 'DX005',
            DETAIL = 'It is good for 60 seconds.', HINT = 'Ask for another one.';
    END IF;
    INSERT INTO df_markers.fences AS f (key, instance_id, submitted_by, epoch) VALUES ($1, $2, me, $3)
    ON CONFLICT (key) DO UPDATE SET epoch = excluded.epoch, entered_at = clock_timestamp()
    WHERE f.submitted_by = me AND f.epoch < excluded.epoch;
    IF NOT FOUND THEN
        PERFORM df_markers._not_yours($2);
    END IF;
    RETURN ARRAY(SELECT m.path FROM df_markers.markers m WHERE m.key = $1 ORDER BY m.made_at, m.path);
END $$;

-- The one way to say DX001. Locks: none.
CREATE OR REPLACE FUNCTION df_markers._not_yours(instance text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'the fence of instance % is not yours', instance USING ERRCODE = 'DX001',
        DETAIL = 'Another worker has taken the instance over, it has ended, or what was lost is looked for.';
END $$;
