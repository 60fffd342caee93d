-- The result that a shape describes, for the worker that holds the instance: a record's own columns where the shape is
-- its path, the one column of a cell that is named, so that it keeps its type, else the value: also of the first cell,
-- which is how a break's value is recorded. Raises DX001 for a lost fence, XX000
-- for a path without a completed checkpoint.
-- Locks: the fence.
CREATE OR REPLACE FUNCTION df._result_for(
    token bytea, instance text, shape json,
    OUT row_count bigint, OUT columns text[], OUT types oid[], OUT cells text[], OUT value json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    IF json_typeof($3) = 'object' AND $3 ->> 'column' IS NOT NULL THEN
        SELECT least(c.row_count, 1), ARRAY[c.name], ARRAY[c.type], CASE WHEN c.row_count > 0 THEN ARRAY[c.cell] ELSE '{}' END
            INTO row_count, columns, types, cells
        FROM df._cell_of($2, $3) AS c;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF json_typeof($3) = 'string' THEN
        SELECT c.row_count, c.columns, c.types, c.cells, c.value INTO row_count, columns, types, cells, value
        FROM df.checkpoints c WHERE c.instance_id = $2 AND c.path = $3 #>> '{}' AND c.kind = 'completed';
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    value := df._result_of($2, $3);
END $$;
