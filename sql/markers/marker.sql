-- The marker of a step, if there is one. Locks: none.
CREATE OR REPLACE FUNCTION df_markers.marker(key bytea, path text)
RETURNS TABLE (row_count bigint, columns text[], types oid[], type_names text[], cells text[])
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.row_count, m.columns, m.types, m.type_names, m.cells
    FROM df_markers.markers m JOIN df_markers.fences f ON f.key = m.key
    WHERE m.key = $1 AND m.path = $2 AND f.submitted_by = quote_ident(session_user)::regrole
$$;
