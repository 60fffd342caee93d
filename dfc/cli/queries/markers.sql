-- Whether steps can run in this database: the markers are there, and may be used. Locks: none.
SELECT to_regprocedure('df_markers.enter(bytea, text, bigint, timestamptz)') IS NOT NULL,
       coalesce(has_schema_privilege(to_regnamespace('df_markers')::oid, 'USAGE'), false), current_user
