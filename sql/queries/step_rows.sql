-- A step with rows and its checkpoint as one statement. The pieces between braces are filled in per statement.
--
-- MATERIALIZED: all columns are computed, those of type void too. The UNION adds nothing; it refuses when
-- the statement has other columns by now than were described. The types are those of the rows themselves.
-- Locks: those of the statement, then those of df.checkpoint.
WITH step{aliases} AS MATERIALIZED (
{statement}
)
SELECT cp.journal, cp.finished, cp.cancel_reason{kept}
FROM (
    SELECT coalesce({cells}, '{}') AS cells, pg_catalog.count(*) AS n
    FROM (SELECT * FROM step UNION ALL SELECT {nulls} WHERE false LIMIT {limit}) AS s
) AS r,
LATERAL (SELECT coalesce((SELECT {typeof} FROM step AS s LIMIT 1), {types}) AS types) AS t,
LATERAL df.checkpoint({token}, {instance}, {path}, {columns}, t.types, r.cells, r.n, {rider}) AS cp
