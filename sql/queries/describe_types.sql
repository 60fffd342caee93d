-- The OIDs of types by the names that format_type gives them. What is no type has no row. Locks: none.
SELECT n.name, pg_catalog.to_regtype(n.name)::pg_catalog.oid
FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n (name)
WHERE pg_catalog.to_regtype(n.name) IS NOT NULL
