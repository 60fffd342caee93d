-- The functions that are not PostgreSQL's and that make objects with names that only a run knows, by EXECUTE,
-- themselves or by a call of one that does. Locks: none.
WITH RECURSIVE own AS MATERIALIZED (
  SELECT p.proname, pg_catalog.lower(p.prosrc) AS source
  FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'df')
), dynamic AS (
  SELECT o.proname FROM own AS o
  WHERE o.source OPERATOR(pg_catalog.~) '\mexecute\M'
    AND o.source OPERATOR(pg_catalog.~) '\m(create|alter|import)\M'
  UNION
  SELECT o.proname FROM dynamic AS d
  JOIN own AS o ON pg_catalog.strpos(o.source, pg_catalog.lower(d.proname)) OPERATOR(pg_catalog.>) 0
)
SELECT d.proname FROM dynamic AS d ORDER BY d.proname
