-- A definition of this role, in this version or as it is now: its expression, what starts when it fails, and what else
-- it says. Locks: none.
SELECT d.expression, d.on_failure, pg_catalog.jsonb_build_object(
           'queue', d.queue, 'priority', d.priority, 'timeout', df._duration(d.timeout, '', true)::jsonb,
           'concurrency_key', d.concurrency_key, 'concurrency_limit', d.concurrency_limit,
           'keep_finished', df._duration(d.keep_finished, '', true)::jsonb)
FROM df.definitions d
WHERE d.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole AND d.name = %(name)s
  AND (%(version)s::integer IS NULL OR d.version = %(version)s::integer)
ORDER BY d.id DESC
LIMIT 1
