-- Whether an instance has come to its end, and nobody has asked to have it retried. Locks: none.
CREATE OR REPLACE FUNCTION df._has_ended(instance text, completed_at timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
    SELECT $2 IS NOT NULL AND NOT EXISTS (SELECT FROM df.requests r WHERE r.instance_id = $1 AND r.kind = 'retry')
$$;

-- How an instance stands; NULL where there is none that the caller may see. A pending cancel request
-- counts, unless it came too late: the undo steps of a failure are running. So do pending ones to pause it, to let it go on, and to retry it.
-- One that is archived stands as it has ended.
-- VOLATILE, as all that looks at instances: SELECT df.await_instance(id), df.status(id) shows how it has ended.
-- Locks: none.
CREATE OR REPLACE FUNCTION df.status(instance_id text) RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN i.completed_at IS NULL AND EXISTS (
                    SELECT FROM df.requests r WHERE r.instance_id = i.id AND r.kind = 'cancel')
                 AND NOT EXISTS (SELECT FROM df.marks k
                                 WHERE k.instance_id = i.id AND k.path = '/decision' AND k.value ->> 'status' <> 'cancelled')
                THEN 'cancelled'
                WHEN i.completed_at IS NULL AND df._is_paused(i.id, i.paused) THEN 'paused'
                WHEN i.completed_at IS NOT NULL AND NOT df._has_ended(i.id, i.completed_at) THEN 'pending' ELSE i.status END
    FROM df.instances i WHERE i.id = $1
    UNION ALL
    SELECT a.status FROM df.archived a WHERE a.id = $1
$$;
