-- The newest instances that one may see.
SELECT id, label, status, submitted_by::text AS submitted_by, created_at, completed_at,
       extract('epoch' FROM coalesce(completed_at, pg_catalog.clock_timestamp()) - created_at)::float8 AS seconds
FROM df.instances
WHERE (%(status)s::text IS NULL OR status = %(status)s) AND (%(label)s::text IS NULL OR label = %(label)s)
ORDER BY id DESC
LIMIT %(limit)s
