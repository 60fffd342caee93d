-- Types as people write them, and quoted and qualified to be cast to (empty for pseudo-types). Locks: none.
SELECT t.oid, pg_catalog.format_type(t.oid, NULL),
  CASE WHEN t.typtype OPERATOR(pg_catalog.<>) 'p'
    THEN pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(t.typname)
  END
FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
WHERE t.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[])
