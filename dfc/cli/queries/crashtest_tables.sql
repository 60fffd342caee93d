-- The user's tables with their columns; nothing of dfc's or of PostgreSQL's own. Locks: none.
SELECT format('%I.%I', n.nspname, c.relname),
    ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('df', 'df_markers', 'dfc_crashtest', 'information_schema') AND n.nspname !~ '^pg_'
ORDER BY 1
