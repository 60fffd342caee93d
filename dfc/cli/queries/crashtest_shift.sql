-- Move every sequence of the user on, so that numbers taken from it are others. Locks: those of setval.
SELECT count(pg_catalog.setval(format('%I.%I', s.schemaname, s.sequencename)::regclass,
                               coalesce(s.last_value, s.start_value) + 7 * s.increment_by))
FROM pg_catalog.pg_sequences s
WHERE s.schemaname NOT IN ('df', 'df_markers')
  AND coalesce(s.last_value, s.start_value) + 7 * s.increment_by BETWEEN s.min_value AND s.max_value
