-- Records what a step has done in another database; the types are those that the result has here.
-- Locks: those of df._record_rows.
SELECT r.journal, r.finished, r.cancel_reason, pg_catalog.to_json(r.own_types)
FROM df._record_rows($1, $2, $3, $4::text[], $5::pg_catalog.oid[], $6::text[], $7::text[], $8, $9, $10, $11, $12::text[]) AS r
