-- Forgets what is recorded under paths: records, attempts, decisions, timers and positions, exactly these and
-- nothing below them. The items of a map go with its record, or, where it has none, with that of their number.
-- Locks: the rows it deletes. Called under the fence's lock, from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._forget(instance text, paths text[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    unneeded bigint[];
BEGIN
    DELETE FROM df.checkpoints c WHERE c.instance_id = instance AND c.path = ANY (paths);
    DELETE FROM df.attempts_made a WHERE a.instance_id = instance AND a.path = ANY (paths);
    DELETE FROM df.marks k WHERE k.instance_id = instance AND k.path = ANY (paths);
    IF EXISTS (SELECT FROM df.maps m WHERE m.instance_id = instance) THEN
        WITH gone AS (
            DELETE FROM df.maps m
            WHERE m.instance_id = instance
              AND (m.path = ANY (paths)
                   OR m.path || '/items' = ANY (paths)
                      AND NOT EXISTS (SELECT FROM df.checkpoints c WHERE c.instance_id = instance AND c.path = m.path))
            RETURNING m.map)
        SELECT array_agg(g.map) INTO unneeded FROM gone g;
        DELETE FROM df.map_items i WHERE i.map = ANY (unneeded);
    END IF;
END $$;
