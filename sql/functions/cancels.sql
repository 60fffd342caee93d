-- What has come for the instances that this worker holds: cancel requests (with their reason), pause or resume, whichever
-- is the latest of these, and wake for news. Locks: none.
CREATE OR REPLACE FUNCTION df._cancels(worker bigint) RETURNS TABLE (instance_id text, kind text, reason text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    first constant bigint := df._requests_from();
BEGIN
    RETURN QUERY
    SELECT DISTINCT ON (r.instance_id, k.about)
           r.instance_id, r.kind, CASE r.kind WHEN 'cancel' THEN coalesce(r.reason, 'Cancelled by user') END
    FROM df.requests r JOIN df.fences f ON f.instance_id = r.instance_id
    CROSS JOIN LATERAL (SELECT CASE WHEN r.kind = 'resume' THEN 'pause' ELSE r.kind END AS about) AS k
    WHERE r.id >= first AND f.worker = $1 AND f.wake_at IS NULL
    ORDER BY r.instance_id, k.about, CASE WHEN k.about = 'pause' THEN -r.id ELSE r.id END;
END $$;
