-- How an instance stands; NULL where there is none that the caller may see. A pending cancel request counts.
-- Locks: none.
CREATE OR REPLACE FUNCTION df.status(instance_id text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN i.completed_at IS NULL AND EXISTS (
                    SELECT FROM df.requests r WHERE r.instance_id = i.id AND r.kind = 'cancel')
                THEN 'cancelled' ELSE i.status END
    FROM df.instances i WHERE i.id = $1
$$;
