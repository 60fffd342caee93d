-- Rights of those whose steps run here. `public` means everybody. Raises 42704. Locks: those of GRANT.
CREATE OR REPLACE FUNCTION df_markers.grant_usage(p_role text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    who constant text := CASE WHEN pg_catalog.lower(p_role) = 'public' THEN 'PUBLIC' ELSE pg_catalog.quote_ident(p_role) END;
BEGIN
    EXECUTE 'GRANT USAGE ON SCHEMA df_markers TO ' || who;
END $$;

CREATE OR REPLACE FUNCTION df_markers.revoke_usage(p_role text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    who constant text := CASE WHEN pg_catalog.lower(p_role) = 'public' THEN 'PUBLIC' ELSE pg_catalog.quote_ident(p_role) END;
BEGIN
    EXECUTE 'REVOKE USAGE ON SCHEMA df_markers FROM ' || who;
END $$;

REVOKE EXECUTE ON FUNCTION df_markers.grant_usage, df_markers.revoke_usage, df_markers._check_fence FROM PUBLIC;
