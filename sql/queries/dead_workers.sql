-- The other workers whose session has ended: their lock can be had. A worker that sees them takes what they held.
-- Locks: advisory lock (1684431665, id) of each that is dead, until the end of the statement, never waited for.
SELECT pg_catalog.array_agg(w.id) FROM df.workers w
WHERE w.id OPERATOR(pg_catalog.<>) $1 AND pg_catalog.pg_try_advisory_xact_lock(1684431665, w.id::pg_catalog.int4)
