-- The statement of a map: its rows become items, in its order, and their number is the checkpoint.
--
-- MATERIALIZED, the UNION and the types are as in step_rows.sql. Rows are numbered as they come. A block is closed
-- when it has enough rows or bytes, but only between items: lag() gives the block of an item's first row to all of
-- them. An aggregate with an order of its own is never hashed, so one block is in memory at a time; what
-- the statement returns, and what is sorted, is on disk above work_mem.
-- Locks: those of the statement, then those of df.map_fill and df.checkpoint_items.
WITH step{aliases} AS MATERIALIZED (
{statement}
)
SELECT cp.journal, r.items, pg_catalog.to_json(t.types)
FROM (SELECT coalesce((SELECT {typeof} FROM step AS s LIMIT 1), {types}) AS types OFFSET 0) AS t,
LATERAL (
    SELECT coalesce(pg_catalog.max(f.item), 0) AS items
    FROM (
        SELECT pg_catalog.min(s.n) AS first, {cells} AS cells, pg_catalog.count(*)::pg_catalog.int4 AS rows
        FROM (
            SELECT s.cells, s.n,
                pg_catalog.lag(s.block, ((s.n - 1) % {batch_size})::pg_catalog.int4) OVER () AS block
            FROM (
                SELECT s.cells, pg_catalog.row_number() OVER w AS n,
                    (pg_catalog.row_number() OVER w - 1) / {block_rows}
                    + pg_catalog.sum(pg_catalog.pg_column_size(s.cells)) OVER w / {block_bytes} AS block
                FROM (
                    SELECT {row} AS cells FROM (SELECT * FROM step UNION ALL SELECT {nulls} WHERE false) AS s
                ) AS s
                WINDOW w AS (ROWS UNBOUNDED PRECEDING)
            ) AS s
        ) AS s
        GROUP BY s.block
        ORDER BY s.block
    ) AS b,
    LATERAL df.map_fill({token}, {instance}, {path}, b.first, {columns}, t.types, b.cells, b.rows, {batch_size})
        AS f(item)
) AS r,
LATERAL df.checkpoint_items({token}, {instance}, {path}, {columns}, t.types, r.items) AS cp(journal)
