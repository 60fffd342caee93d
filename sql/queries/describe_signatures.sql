-- The functions of a name with their parameters. Locks: none.
SELECT pg_catalog.format('%s(%s)', p.proname, pg_catalog.pg_get_function_arguments(p.oid))
FROM pg_catalog.pg_proc AS p
WHERE p.proname OPERATOR(pg_catalog.=) $1
ORDER BY p.pronargs, 1
