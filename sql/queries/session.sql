-- Who and where a worker's connection is. Locks: none.
SELECT pg_catalog.pg_backend_pid(), session_user, pg_catalog.current_database(),
       pg_catalog.to_regclass('df.meta') IS NOT NULL
