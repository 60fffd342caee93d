-- Clears away what is there of instances that have ended, fences and markers. Locks: the fences.
CREATE OR REPLACE FUNCTION df_markers.forget(keys bytea[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM df_markers.fences f WHERE f.key = ANY ($1) AND f.submitted_by = quote_ident(session_user)::regrole
$$;
