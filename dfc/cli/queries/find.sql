-- The instances whose id begins with a prefix: two are enough to know that it is not unique. Locks: none.
SELECT id FROM df.instances WHERE id >= %(prefix)s AND pg_catalog.starts_with(id, %(prefix)s) ORDER BY id LIMIT 2
