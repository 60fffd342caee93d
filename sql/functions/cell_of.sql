-- The cell that a shape {"path": p, "column": c} names (null: the first column) in the first row of the record p: the
-- column's name and type, and the cell, null where there is no row. No row where the record has no such column, or is
-- no completed one.
-- Locks: none. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._cell_of(instance text, shape json)
RETURNS TABLE (name text, type oid, cell text, row_count bigint)
LANGUAGE sql STABLE AS $$
    SELECT c.columns[p.place], c.types[p.place], CASE WHEN c.row_count > 0 THEN c.cells[p.place] END, c.row_count
    FROM df.checkpoints c
    CROSS JOIN LATERAL (
        SELECT CASE WHEN shape ->> 'column' IS NULL THEN 1
                    ELSE array_position(df._column_keys(c.columns), shape ->> 'column') END) AS p(place)
    WHERE c.instance_id = instance AND c.path = shape ->> 'path' AND c.kind = 'completed' AND c.columns[p.place] IS NOT NULL
$$;
