-- A definition of this role: its expression, in this version or as it is now. Locks: none.
SELECT d.expression, d.version
FROM df.definitions d
WHERE d.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole AND d.name = %(name)s
  AND (%(version)s::integer IS NULL OR d.version = %(version)s::integer)
ORDER BY d.id DESC
LIMIT 1
