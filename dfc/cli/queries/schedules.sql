-- The schedules that one may see. Locks: none.
SELECT s.name, s.cron, s.time_zone, CASE WHEN pg_catalog.starts_with(s.workflow, '/*dfc:') THEN '(expression)' ELSE s.workflow END AS workflow,
       s.overlap, s.catch_up, s.paused, s.next_ticks, s.last_at, s.last_instance, s.last_error, s.note, s.skipped,
       s.submitted_by::text AS submitted_by
FROM df.schedules s
ORDER BY s.name, s.submitted_by::text
