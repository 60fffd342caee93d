-- The instances that one may see with one of these statuses, as df.status says it, and a label (null: any), oldest first.
-- Locks: none.
SELECT f.id FROM pg_catalog.unnest(%(statuses)s::text[]) AS s(status), df._instance_ids(s.status, %(label)s, NULL, %(limit)s) AS f(id)
ORDER BY f.id
