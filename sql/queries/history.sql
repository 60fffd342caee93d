-- The journal of an instance for the worker that holds it; results in full only for the paths in $3.
-- Locks: the fence (df._history).
SELECT h.path, h.journal, h.kind, h.row_count,
       CASE WHEN wanted THEN pg_catalog.to_json(h.columns) END,
       CASE WHEN wanted THEN pg_catalog.to_json(h.types) END,
       CASE WHEN wanted THEN pg_catalog.to_json(h.cells) END,
       CASE WHEN wanted THEN h.value END,
       h.error
FROM df._history($1, $2) AS h, LATERAL (SELECT pg_catalog.split_part(h.path, '/', 1) = ANY ($3::text[]) AS wanted) AS w
ORDER BY h.journal
