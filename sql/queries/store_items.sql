-- Stores a result as the items of a map; how many there are, of which columns.
-- Locks: the fence, then the map's row (df._store_items).
SELECT s.journal, s.row_count, pg_catalog.to_json(s.columns), pg_catalog.to_json(s.types)
FROM df._store_items($1, $2, $3, $4, $5, $6, $7::text[], $8::pg_catalog.oid[], $9::text[], $10) AS s
