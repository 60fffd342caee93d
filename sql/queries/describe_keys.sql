-- The unique indexes of a table: the columns of each, and whether it is nothing but these, for all rows. A row without
-- columns for the table itself. Locks: none.
SELECT pg_catalog.array_to_json(ARRAY(
           SELECT a.attname
           FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid
             AND a.attnum OPERATOR(pg_catalog.=) ANY ((i.indkey::pg_catalog.int2[])[0:i.indnkeyatts OPERATOR(pg_catalog.-) 1]))),
       i.indexprs IS NULL AND i.indpred IS NULL AND i.indisunique AND i.indimmediate AND i.indisvalid
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_index AS i
    ON i.indrelid OPERATOR(pg_catalog.=) c.oid AND (i.indisunique OR i.indisexclusion)
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p')
