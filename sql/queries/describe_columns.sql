-- The names of the columns of all relations that have one of these names. Locks: none.
SELECT a.attname
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
WHERE c.relname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[])
  AND c.relkind IN ('r', 'v', 'm', 'f', 'p', 'c')
  AND a.attnum OPERATOR(pg_catalog.>) 0
  AND NOT a.attisdropped
GROUP BY a.attname
ORDER BY pg_catalog.min(a.attnum), a.attname
