-- The schema with something of a name that this role may not use: the schema given, or ('') one of the search path, in
-- which PostgreSQL does not look then. Locks: none.
SELECT n.nspname
FROM pg_catalog.pg_namespace AS n
WHERE NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
  AND (
    n.nspname OPERATOR(pg_catalog.=) $2::pg_catalog.text
    OR ($2 OPERATOR(pg_catalog.=) '' AND n.nspname OPERATOR(pg_catalog.=) ANY (
      SELECT CASE pg_catalog.btrim(part, ' "') WHEN '$user' THEN current_user ELSE pg_catalog.btrim(part, ' "') END
      FROM pg_catalog.regexp_split_to_table(pg_catalog.current_setting('search_path'), ',') AS path(part)
    ))
  )
  AND (
    EXISTS (
      SELECT FROM pg_catalog.pg_class AS c
      WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) $1::pg_catalog.text
    )
    OR EXISTS (
      SELECT FROM pg_catalog.pg_proc AS p
      WHERE p.pronamespace OPERATOR(pg_catalog.=) n.oid AND p.proname OPERATOR(pg_catalog.=) $1
    )
    OR EXISTS (
      SELECT FROM pg_catalog.pg_type AS t
      WHERE t.typnamespace OPERATOR(pg_catalog.=) n.oid AND t.typname OPERATOR(pg_catalog.=) $1
    )
  )
LIMIT 1
