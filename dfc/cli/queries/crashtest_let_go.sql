-- Let what is held roll back, and hold nothing any more. Locks: gives up the advisory lock of the gate.
WITH gone AS (DELETE FROM dfc_crashtest.gates)
SELECT pg_catalog.pg_advisory_unlock(1684431667, -1)
