-- The names of all schemas. Locks: none.
SELECT nspname FROM pg_catalog.pg_namespace
