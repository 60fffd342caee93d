-- The checkpoint of a statement that has run outside of a transaction; a CALL may have given a row. Locks: those of df.checkpoint.
SELECT cp.journal, cp.finished, cp.cancel_reason, {count}
FROM df.checkpoint({token}, {instance}, {path}, {columns}, {types}, {cells}, {count}, {rider}) AS cp
