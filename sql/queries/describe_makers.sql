-- The functions of these names that are not PostgreSQL's and in whose text a name stands. Locks: none.
SELECT p.proname
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE p.proname OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.text[])
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'df')
  AND pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower($1)) OPERATOR(pg_catalog.>) 0
