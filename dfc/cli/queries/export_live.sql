-- What lasts of an instance now, as the worker that takes it over reads it (df._history), with all results. Locks: none.
SELECT c.path, c.journal, c.kind, c.row_count, c.columns, c.types::bigint[], c.cells, c.value::text, c.error::text,
       NULL::bigint AS round, NULL::float8 AS seconds, NULL::integer AS losses, NULL AS moment
FROM df.checkpoints c WHERE c.instance_id = %(id)s
UNION ALL
SELECT m.path, m.journal, m.kind, NULL, NULL, NULL, NULL, m.value::text, m.error::text, m.round,
       extract('epoch' FROM m.due_at - pg_catalog.clock_timestamp())::float8, NULL, coalesce(m.other, m.due_at::text)
FROM df.marks m WHERE m.instance_id = %(id)s AND m.kind <> 'awaited'
UNION ALL
SELECT a.path, NULL, s.kind, NULL, NULL, NULL, NULL, NULL, a.last_error::text, a.attempts,
       extract('epoch' FROM a.next_attempt_at - pg_catalog.clock_timestamp())::float8, a.losses, NULL
FROM df.attempts_made a
JOIN (VALUES ('attempt'), ('begun')) AS s(kind)
  ON CASE s.kind WHEN 'attempt' THEN a.attempts + a.losses > 0 ELSE a.begun_at IS NOT NULL END
WHERE a.instance_id = %(id)s
  AND NOT EXISTS (SELECT FROM df.checkpoints c WHERE c.instance_id = a.instance_id AND c.path = a.path)
ORDER BY 2, 1
