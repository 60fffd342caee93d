-- A statement that cannot stand inside another, run through df._execute, and its checkpoint.
-- OFFSET 0 keeps the call from being copied into the places that use its result.
-- Locks: those of the statement, then those of df.checkpoint.
SELECT cp.journal, cp.finished, cp.cancel_reason, r.n
FROM (SELECT df._execute({query}, VARIADIC {values}) AS n OFFSET 0) AS r,
LATERAL df.checkpoint({token}, {instance}, {path}, '{}', '{}', '{}', r.n, {rider}) AS cp
