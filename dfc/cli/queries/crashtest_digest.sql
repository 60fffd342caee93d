-- Rows and digest of a table over some of its columns. Locks: ACCESS SHARE.
SELECT rows, digest FROM dfc_crashtest.digest(%(of)s, %(columns)s::text[])
