-- An instance as `dfc show` prints it. Locks: none.
SELECT id, label, df.status(id) AS status, submitted_by::text, created_at, started_at, completed_at, plan, waiting_for,
       extract('epoch' FROM coalesce(completed_at, pg_catalog.clock_timestamp()) - created_at)::float8
FROM df.instances
WHERE id = %(id)s
