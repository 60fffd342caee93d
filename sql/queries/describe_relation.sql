-- Whether a name is that of a relation: a row if so. Locks: none.
SELECT 1 WHERE pg_catalog.to_regclass($1) IS NOT NULL
