-- The search path with all other schemas behind it; no row where there are none. Locks: none.
SELECT pg_catalog.concat_ws(
  ', ',
  NULLIF(pg_catalog.current_setting('search_path'), ''),
  pg_catalog.string_agg(pg_catalog.quote_ident(n.nspname), ', ' ORDER BY n.nspname)
)
FROM pg_catalog.pg_namespace AS n
WHERE n.nspname OPERATOR(pg_catalog.!~) '^pg_' AND n.nspname NOT IN ('information_schema', 'df', 'df_markers')
  AND NOT n.nspname OPERATOR(pg_catalog.=) ANY (pg_catalog.current_schemas(false))
HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 0
