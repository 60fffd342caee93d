-- The installation as it was made, and the database as it is. Locks: none.
SELECT m.schema_version, m.system_identifier, m.database_oid::bigint, d.oid::bigint, m.compiler_version
FROM df.meta AS m, pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()
