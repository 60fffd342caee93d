-- The names of the types that are visible, without those of arrays. Locks: none.
SELECT pg_catalog.format_type(t.oid, NULL)
FROM pg_catalog.pg_type AS t
WHERE pg_catalog.pg_type_is_visible(t.oid) AND t.typelem OPERATOR(pg_catalog.=) 0 AND t.typtype OPERATOR(pg_catalog.<>) 'p'
ORDER BY 1
