-- A step without rows and its checkpoint as one statement: what counts is the number of rows affected.
-- Locks: those of the statement, then those of df.checkpoint.
WITH step AS MATERIALIZED (
{statement}
)
SELECT cp.journal, cp.finished, cp.cancel_reason, r.n
FROM (SELECT pg_catalog.count(*) AS n FROM step) AS r,
LATERAL df.checkpoint({token}, {instance}, {path}, '{}', '{}', '{}', r.n, {rider}) AS cp
