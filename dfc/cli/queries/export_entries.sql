-- The recorded journal of an instance, in order. Locks: none.
SELECT e.number, e.worker, e.written_at, e.entry
FROM df.journal_entries e
WHERE e.instance_id = %(id)s
ORDER BY e.number
