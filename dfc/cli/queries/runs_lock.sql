-- One `dfc run` a file: a session lock that goes with the process. False: another process has it.
-- Locks: that advisory lock, never waited for.
SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('dfc run ' || %(file)s, 0))
