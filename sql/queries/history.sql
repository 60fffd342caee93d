-- What lasts of an instance, for the worker that holds it; results only of the nodes in $3, up to $4 bytes.
-- Locks: the fence (df._history).
SELECT h.path, h.journal, h.kind, h.row_count, pg_catalog.to_json(h.columns), pg_catalog.to_json(h.types),
       pg_catalog.to_json(h.cells), h.value, h.error, h.round, h.seconds, h.losses, h.moment
FROM df._history($1, $2, $3::text[], $4) AS h
