-- An instance as `dfc export` writes it, but for what has happened to it: fields of the document, in its order, and whether it
-- was recorded. Locks: none.
SELECT (SELECT f.schema_version FROM df._doctor_facts() AS f) AS schema_version, i.id AS instance, i.label,
       df.status(i.id) AS status, i.submitted_by::text, i.definition, i.definition_version, i.parent, i.forked_from,
       i.created_at, i.started_at, i.completed_at, i.plan, i.plan_hash, i.input::text,
       nullif(i.database, pg_catalog.current_database()) AS database,
       extract('epoch' FROM i.timeout)::float8 AS timeout_seconds, i.result::text, i.error, i.recorded
FROM df.instances i
WHERE i.id = %(id)s
