-- What has come for the instances that this worker holds: cancel requests, and, without a reason, news.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._cancels(worker bigint) RETURNS TABLE (instance_id text, reason text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT ON (r.instance_id, r.kind)
           r.instance_id, CASE r.kind WHEN 'cancel' THEN coalesce(r.reason, 'Cancelled by user') END
    FROM df.requests r JOIN df.fences f ON f.instance_id = r.instance_id
    WHERE r.kind IN ('cancel', 'wake') AND f.worker = $1 AND f.wake_at IS NULL
    ORDER BY r.instance_id, r.kind, r.id
$$;
