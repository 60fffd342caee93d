-- The newest instances that one may see. A pending cancel request counts as in df.status. Locks: none.
SELECT i.id, i.label, s.status, i.submitted_by::text AS submitted_by, i.created_at, i.completed_at,
       extract('epoch' FROM coalesce(i.completed_at, pg_catalog.clock_timestamp()) - i.created_at)::float8 AS seconds
FROM df.instances i
CROSS JOIN LATERAL (
    SELECT CASE WHEN i.completed_at IS NULL THEN df.status(i.id) ELSE i.status END
) AS s(status)
WHERE (%(status)s::text IS NULL OR s.status = %(status)s) AND (%(label)s::text IS NULL OR i.label = %(label)s)
ORDER BY i.id DESC
LIMIT %(limit)s
