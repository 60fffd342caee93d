-- The next items of a map, behind a row that says what all of them have in common.
-- Locks: the fence, then the map's row (df._fetch_items).
SELECT i.item, i.rows, pg_catalog.to_json(i.columns), pg_catalog.to_json(i.types), pg_catalog.to_json(i.cells), i.value
FROM df._fetch_items($1, $2, $3, $4, $5, $6) AS i
