-- The run of a file that did not come to its end, if there is one. Locks: none.
SELECT id, content_hash, done, instance_id, pg_catalog.to_char(started_at, 'YYYY-MM-DD HH24:MI:SS')
FROM dfc_run.runs
WHERE file = %(file)s AND finished_at IS NULL
ORDER BY id DESC
LIMIT 1
