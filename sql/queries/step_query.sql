-- A query, run through df._rows so that PostgreSQL may use parallel workers, and its checkpoint.
-- Locks: those of the query, then those of df.checkpoint.
SELECT cp.journal, cp.finished, cp.cancel_reason{kept}
FROM (
    SELECT coalesce({cells}, '{}') AS cells, pg_catalog.count(*) AS n
    FROM (SELECT * FROM df._rows({query}, VARIADIC {values}) AS s({definitions}) LIMIT {limit}) AS s
) AS r,
LATERAL (SELECT {types} AS types) AS t,
LATERAL df.checkpoint({token}, {instance}, {path}, {columns}, t.types, r.cells, r.n, {rider}) AS cp
