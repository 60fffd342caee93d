-- The identity of this cluster. Locks: none.
SELECT c.system_identifier FROM pg_catalog.pg_control_system() AS c
