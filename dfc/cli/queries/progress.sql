-- How an instance stands: its row, and its checkpoints in the order of their commits. The row's status and not
-- df.status: who follows an instance waits for its end, and a cancel request that is pending is not one. Locks: none.
SELECT i.status, i.result::text, i.error::text, c.steps::text
FROM df.instances i
CROSS JOIN LATERAL (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
               'path', c.path, 'kind', c.kind, 'row_count', c.row_count,
               'seconds', extract('epoch' FROM c.finished_at - c.started_at)) ORDER BY c.journal), '[]')
    FROM df.checkpoints c
    WHERE c.instance_id = i.id
) AS c(steps)
WHERE i.id = %(id)s
