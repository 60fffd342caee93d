-- Whether a transaction is held at its commit. Locks: none.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks l
    WHERE l.locktype = 'advisory' AND NOT l.granted AND l.classid = 1684431667 AND l.objid = 4294967295
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
