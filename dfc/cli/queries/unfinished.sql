-- Instances of a definition, or of a plan, that have not ended, oldest first; and what each has recorded, in the
-- order of commits. Locks: none.
SELECT i.id, i.label, i.definition_version, i.plan::text, coalesce(c.paths, '{}')
FROM df.instances i
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(c.path ORDER BY c.journal) FROM df.checkpoints c WHERE c.instance_id = i.id
) AS c(paths)
WHERE i.completed_at IS NULL AND (i.definition = %(definition)s OR (i.definition IS NULL AND i.plan_hash = %(plan_hash)s))
ORDER BY i.id
LIMIT %(limit)s
