-- What the names of this role mean: definitions as they are now, and schedules. Locks: none.
SELECT 'workflow' AS kind, d.name, 'version ' || d.version AS version, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
           'body', df.explain(d.expression), 'expression', d.expression, 'params', d.params, 'on_failure', df.explain(d.on_failure),
           'queue', d.queue, 'priority', d.priority, 'timeout', d.timeout::text, 'concurrency_key', d.concurrency_key,
           'concurrency_limit', d.concurrency_limit, 'keep_finished', d.keep_finished::text)) AS fields
FROM (SELECT DISTINCT ON (x.name) x.* FROM df.definitions x
      WHERE x.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole ORDER BY x.name, x.id DESC) AS d
WHERE d.expression IS NOT NULL
UNION ALL
SELECT 'schedule', s.name, NULL, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
           'cron', s.cron, 'time_zone', s.time_zone,
           'workflow', CASE WHEN pg_catalog.starts_with(s.workflow, '/*dfc:') THEN df.explain(s.workflow) ELSE s.workflow END,
           'expression', s.workflow, 'input', s.input, 'overlap', s.overlap, 'catch_up', s.catch_up, 'paused', nullif(s.paused, false)))
FROM df.schedules s WHERE s.submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole
ORDER BY 1 DESC, 2
