-- Whether there is an operator of this name: a row if so. Locks: none.
SELECT 1 FROM pg_catalog.pg_operator AS o WHERE o.oprname OPERATOR(pg_catalog.=) $1 LIMIT 1
