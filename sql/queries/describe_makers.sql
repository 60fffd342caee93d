-- The functions that are not PostgreSQL's and whose text makes or changes something of this name. Locks: none.
SELECT p.proname
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'df')
  AND pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower($1)) OPERATOR(pg_catalog.>) 0
  AND p.prosrc OPERATOR(pg_catalog.~*)
    pg_catalog.concat('\m(create|alter|execute)\M[^;]*\m', pg_catalog.regexp_replace($1, '\W', '.', 'g'), '\M')
ORDER BY p.proname
