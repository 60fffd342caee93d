-- How the workflow stands, whether everything has ended, and what is waited for. Locks: none.
SELECT i.status, i.result::text, i.error::text,
    NOT EXISTS (SELECT FROM df.instances o WHERE o.completed_at IS NULL),
    (SELECT pg_catalog.string_agg(DISTINCT o.waiting_for, ', ') FROM df.instances o WHERE o.completed_at IS NULL)
FROM df.instances i WHERE i.id = %(id)s
