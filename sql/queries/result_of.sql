-- The result that a shape describes, for the worker that holds the instance.
-- Locks: the fence (df._result_for).
SELECT r.row_count, pg_catalog.to_json(r.columns), pg_catalog.to_json(r.types), pg_catalog.to_json(r.cells), r.value
FROM df._result_for($1, $2, $3) AS r
