-- The checkpoint of a statement that has run outside of a transaction. Locks: those of df.checkpoint.
SELECT cp.journal, cp.finished, cp.cancel_reason, {count}
FROM df.checkpoint({token}, {instance}, {path}, '{}', '{}', '{}', {count}, {rider}) AS cp
