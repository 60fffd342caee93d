-- The names of the functions of a schema, or ('') of those that are visible. Locks: none.
SELECT DISTINCT p.proname
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE CASE WHEN $1 OPERATOR(pg_catalog.=) '' THEN pg_catalog.pg_function_is_visible(p.oid) ELSE n.nspname OPERATOR(pg_catalog.=) $1 END
ORDER BY p.proname
