-- Why the instance is to end: the first cancel request's reason, null where nobody asked. Locks: none.
CREATE OR REPLACE FUNCTION df._cancel_reason(instance text) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(r.reason, 'Cancelled by user') FROM df.requests r
    WHERE r.instance_id = instance AND r.kind = 'cancel' ORDER BY r.id LIMIT 1
$$;
