-- An instance as `dfc export` writes it, but for what has happened to it. Locks: none.
SELECT i.label, df.status(i.id), i.submitted_by::text, i.definition, i.definition_version, i.parent, i.forked_from,
       i.created_at, i.started_at, i.completed_at, i.plan, i.plan_hash, i.input::text,
       nullif(i.database, pg_catalog.current_database()), extract('epoch' FROM i.timeout)::float8, i.recorded,
       i.result::text, i.error, (SELECT f.schema_version FROM df._doctor_facts() AS f)
FROM df.instances i
WHERE i.id = %(id)s
