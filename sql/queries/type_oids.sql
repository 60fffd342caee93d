-- The types of these names in this database; null where there is none. Locks: none.
SELECT pg_catalog.to_regtype(n)::pg_catalog.oid FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS u(n, i) ORDER BY u.i
