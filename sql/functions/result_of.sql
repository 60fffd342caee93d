-- The result that a shape describes, as JSON text. A text is the path of a record; an array stands for the array of
-- its elements'; {"value": v} for v itself; {"path": p, "column": c} for that cell (null: the first) of the first
-- row of the record p, null where there is none. What no record holds (of the row of a map) is there itself: {"type": t,
-- "cell": c} for the cell c, {"columns", "types", "cells", "row_count"} for the array of these rows as objects.
-- Raises XX000 for a path without a completed checkpoint.
-- Locks: none. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._result_of(instance text, shape json) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF json_typeof(shape) <> 'array' THEN
        RETURN df._part_of(instance, shape);
    END IF;
    -- Level by level, so that depth costs no stack. `at` is where a part stands: the numbers of the elements
    -- that lead to it; what closes an array comes after all that begins with the array's own.
    RETURN (
        WITH RECURSIVE node (at, n, part) AS (
            SELECT '{}'::bigint[], 1::bigint, shape
            UNION ALL
            SELECT node.at || e.n, e.n, e.part
            FROM node, json_array_elements(CASE WHEN json_typeof(node.part) = 'array' THEN node.part ELSE '[]' END)
                WITH ORDINALITY AS e(part, n)
        ), written (at, piece) AS (
            SELECT at, concat(CASE WHEN n > 1 THEN ', ' END,
                              CASE json_typeof(part) WHEN 'array' THEN '[' ELSE df._part_of(instance, part) END)
            FROM node
            UNION ALL
            SELECT at || 9223372036854775807, ']' FROM node WHERE json_typeof(part) = 'array'
        )
        SELECT string_agg(piece, '' ORDER BY at) FROM written);
END $$;

-- A part of a shape that is no array.
CREATE OR REPLACE FUNCTION df._part_of(instance text, part json) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    c record;
    is_cell boolean := false;
BEGIN
    IF json_typeof(part) = 'object' THEN
        IF part -> 'value' IS NOT NULL THEN
            RETURN part -> 'value';
        ELSIF part -> 'type' IS NOT NULL THEN
            RETURN df._json_value((part ->> 'type')::oid, part ->> 'cell');
        ELSIF part -> 'cells' IS NOT NULL THEN
            RETURN (df._result_json(
                ARRAY(SELECT e.x FROM json_array_elements_text(part -> 'columns') WITH ORDINALITY AS e(x, n) ORDER BY n),
                ARRAY(SELECT e.x::oid FROM json_array_elements_text(part -> 'types') WITH ORDINALITY AS e(x, n) ORDER BY n),
                ARRAY(SELECT e.x FROM json_array_elements_text(part -> 'cells') WITH ORDINALITY AS e(x, n) ORDER BY n),
                (part ->> 'row_count')::bigint)::json -> 'rows')::text;
        END IF;
        is_cell := true;
        SELECT k.type, k.cell INTO c FROM df._cell_of(instance, part) AS k;
        IF FOUND THEN
            RETURN df._json_value(c.type, c.cell);
        END IF;
    END IF;
    SELECT k.columns, k.types, k.cells, k.row_count, k.value INTO c FROM df.checkpoints k
    WHERE k.instance_id = instance AND k.path = CASE WHEN is_cell THEN part ->> 'path' ELSE part #>> '{}' END
      AND k.kind = 'completed';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'instance % has no completed checkpoint %', instance, part USING ERRCODE = 'XX000',
            DETAIL = 'The shape of a result names completed checkpoints only.';
    ELSIF NOT is_cell THEN
        RETURN CASE WHEN c.row_count IS NULL THEN c.value::text
                    ELSE df._result_json(c.columns, c.types, c.cells, c.row_count) END;
    ELSIF c.row_count IS NULL THEN
        RETURN coalesce(CASE WHEN part ->> 'column' IS NULL THEN c.value
                             WHEN json_typeof(c.value) = 'object' THEN c.value -> (part ->> 'column') END::text, 'null');
    END IF;
    IF cardinality(c.columns) = 0 AND coalesce(part ->> 'column', 'row_count') = 'row_count' THEN
        RETURN c.row_count;
    END IF;
    RETURN 'null';
END $$;
