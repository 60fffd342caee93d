-- The marker of a step in another database. Locks: none.
SELECT m.row_count, pg_catalog.to_json(m.columns), pg_catalog.to_json(m.types), pg_catalog.to_json(m.cells), NULL,
       pg_catalog.to_json(m.type_names)
FROM df_markers.marker($1, $2) AS m
