-- The result of a completed instance as text, also of one that is archived, else NULL. VOLATILE as df.status. Locks: none.
CREATE OR REPLACE FUNCTION df.result(instance_id text) RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT i.result::text FROM df.instances i WHERE i.id = $1 AND i.status = 'completed'
    UNION ALL
    SELECT a.result::text FROM df.archived a WHERE a.id = $1 AND a.status = 'completed'
$$;
