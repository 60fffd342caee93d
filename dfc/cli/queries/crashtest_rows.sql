-- The rows of a table, as arrays of texts. Locks: ACCESS SHARE.
SELECT r FROM dfc_crashtest.rows(%(of)s, %(columns)s::text[]) AS r LIMIT %(most)s
