-- The names of the relations of a schema, or ('') of those that are visible and not PostgreSQL's. Locks: none.
SELECT c.relname
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S')
  AND CASE WHEN $1 OPERATOR(pg_catalog.=) '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname OPERATOR(pg_catalog.=) $1 END
ORDER BY n.nspname OPERATOR(pg_catalog.=) 'pg_catalog', c.relname
