-- The query of a map, run through df._rows so that PostgreSQL may use parallel workers: its rows become items.
-- Otherwise as step_items_rows.sql.
-- Locks: those of the query, then those of df.map_fill and df.checkpoint_items.
SELECT cp.journal, r.items, pg_catalog.to_json(t.types)
FROM (SELECT {types} AS types OFFSET 0) AS t,
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
                    SELECT {row} AS cells FROM df._rows({query}, VARIADIC {values}) AS s({definitions})
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
