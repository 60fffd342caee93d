-- Quoted and qualified names of types, to be cast to. A type that is gone has no row. Locks: none.
SELECT t.oid, pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.||) '.' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(t.typname)
FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
WHERE t.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[]) AND t.typtype OPERATOR(pg_catalog.<>) 'p'
