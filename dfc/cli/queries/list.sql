-- The newest instances that one may see. A pending cancel request counts as in df.status. Locks: none.
SELECT i.id, i.label, CASE WHEN i.completed_at IS NULL THEN df.status(i.id) ELSE i.status END AS status,
       i.submitted_by::text AS submitted_by, i.created_at, i.completed_at,
       extract('epoch' FROM coalesce(i.completed_at, pg_catalog.clock_timestamp()) - i.created_at)::float8 AS seconds
FROM df._instance_ids(%(status)s, %(label)s, NULL, %(limit)s) WITH ORDINALITY AS f(id, place)
JOIN df.instances i ON i.id = f.id
ORDER BY f.place
