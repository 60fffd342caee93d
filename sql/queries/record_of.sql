-- The record of one activation in full, for the worker that holds the instance.
-- Locks: the fence (df._record_of).
SELECT c.path, c.journal, c.kind, c.row_count, pg_catalog.to_json(c.columns), pg_catalog.to_json(c.types),
       pg_catalog.to_json(c.cells), c.value, c.error
FROM df._record_of($1, $2, $3) AS c
