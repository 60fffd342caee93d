-- What goes when instances are deleted: everything that belongs to them. No foreign key does that, since it would
-- lock the instance's row at each record. The items of a large map go bit by bit, by the workers (df._sweep_finished).
-- By arrays, so that indexes are used, however large the tables were when the statements were planned.
-- Locks: the rows it deletes.
CREATE OR REPLACE FUNCTION df._after_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids constant text[] := ARRAY(SELECT g.id FROM gone g);
    small bigint[];
BEGIN
    DELETE FROM df.fences f WHERE f.instance_id = ANY (ids);
    DELETE FROM df.requests r WHERE r.instance_id = ANY (ids);
    INSERT INTO df.freed_keys (submitted_by, key)
    SELECT DISTINCT g.submitted_by, g.concurrency_key FROM gone g WHERE g.concurrency_key IS NOT NULL AND g.completed_at IS NULL;
    DELETE FROM df.debounces d WHERE d.instance_id = ANY (ids);
    DELETE FROM df.signals s WHERE s.instance_id = ANY (ids);
    DELETE FROM df.checkpoints c WHERE c.instance_id = ANY (ids);
    DELETE FROM df.attempts_made a WHERE a.instance_id = ANY (ids);
    DELETE FROM df.journal_entries e WHERE e.instance_id = ANY (ids);
    DELETE FROM df.marks k WHERE k.instance_id = ANY (ids);
    WITH removed AS (
        DELETE FROM df.maps m WHERE m.instance_id = ANY (ids) RETURNING m.map, m.items
    ), large AS (
        INSERT INTO df.maps_left (map) SELECT r.map FROM removed r WHERE r.items IS NULL OR r.items > 1000
    )
    SELECT array_agg(r.map) INTO small FROM removed r WHERE r.items <= 1000;
    DELETE FROM df.map_items i WHERE i.map = ANY (small);
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER after_delete AFTER DELETE ON df.instances
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION df._after_delete();
