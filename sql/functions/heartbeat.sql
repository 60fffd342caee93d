-- A worker says that it lives, and looks how often others have. False: its row is gone, another worker has declared it dead.
--
-- Beats are counted, since a clock may be set: two beats of a worker are a third of its lease apart at least, by a clock
-- that nobody sets. So each worker keeps in its own row, of each other one, how often it has beaten, and at which own
-- beat it saw so many for the first time.
-- Locks: the worker's own row.
CREATE OR REPLACE FUNCTION df._heartbeat(worker bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE df.workers w
    SET heartbeat_at = clock_timestamp(), beats = w.beats + 1,
        (seen_workers, seen_beats, seen_since) = (
            SELECT coalesce(array_agg(o.id ORDER BY o.id), '{}'), coalesce(array_agg(o.beats ORDER BY o.id), '{}'),
                   coalesce(array_agg(CASE WHEN s.beats = o.beats THEN s.since ELSE w.beats + 1 END ORDER BY o.id), '{}')
            FROM df.workers o
            LEFT JOIN unnest(w.seen_workers, w.seen_beats, w.seen_since) AS s(id, beats, since) ON s.id = o.id
            WHERE o.id <> w.id)
    WHERE w.id = worker;
    RETURN FOUND;
END $$;
