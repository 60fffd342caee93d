-- Hold the transaction that records a path at its commit, from now on. Locks: the advisory lock of the gate, for
-- as long as the session has it.
WITH gate AS (INSERT INTO dfc_crashtest.gates VALUES (%(path)s, %(failing)s, %(instance)s, %(called)s))
SELECT pg_catalog.pg_advisory_lock(1684431667, -1)
