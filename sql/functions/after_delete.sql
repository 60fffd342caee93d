-- What goes when instances are deleted: everything that belongs to them. No foreign key does that, since it would
-- lock the instance's row at each record.
-- Locks: the rows it deletes.
CREATE OR REPLACE FUNCTION df._after_delete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM df.fences f USING gone g WHERE f.instance_id = g.id;
    DELETE FROM df.requests r USING gone g WHERE r.instance_id = g.id;
    INSERT INTO df.freed_keys (submitted_by, key)
    SELECT DISTINCT g.submitted_by, g.concurrency_key FROM gone g WHERE g.concurrency_key IS NOT NULL AND g.completed_at IS NULL;
    DELETE FROM df.debounces d USING gone g WHERE d.instance_id = g.id;
    DELETE FROM df.signals s USING gone g WHERE s.instance_id = g.id;
    DELETE FROM df.checkpoints c USING gone g WHERE c.instance_id = g.id;
    DELETE FROM df.attempts_made a USING gone g WHERE a.instance_id = g.id;
    DELETE FROM df.journal_entries e USING gone g WHERE e.instance_id = g.id;
    DELETE FROM df.marks k USING gone g WHERE k.instance_id = g.id;
    DELETE FROM df.map_items i USING gone g, df.maps m WHERE m.instance_id = g.id AND i.map = m.map;
    DELETE FROM df.maps m USING gone g WHERE m.instance_id = g.id;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER after_delete AFTER DELETE ON df.instances
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION df._after_delete();
