-- Why the instance is to end: the first cancel request's reason, null where nobody asked. Locks: none.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._cancel_reason(instance text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce(r.reason, 'Cancelled by user') FROM df.requests r
    WHERE r.instance_id = instance AND r.kind = 'cancel' ORDER BY r.id LIMIT 1
$$;
