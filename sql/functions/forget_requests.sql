-- Deletes requests and signals whose instance has ended: what was sent while the instance ended leaves one.
-- Called when workers come and go, which is seldom, a thousand rows at a time.
-- Locks: the rows it deletes; those that are locked are left for the next time.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._forget_requests() RETURNS void
LANGUAGE sql VOLATILE AS $$
    DELETE FROM df.requests d WHERE d.id = ANY (ARRAY(
        SELECT r.id FROM df.requests r JOIN df.instances i ON i.id = r.instance_id
        WHERE i.completed_at IS NOT NULL AND r.kind <> 'retry'
        LIMIT 1000 FOR UPDATE OF r SKIP LOCKED));
    DELETE FROM df.signals d WHERE d.id = ANY (ARRAY(
        SELECT s.id FROM df.signals s JOIN df.instances i ON i.id = s.instance_id
        WHERE i.completed_at IS NOT NULL
        LIMIT 1000 FOR UPDATE OF s SKIP LOCKED))
$$;
