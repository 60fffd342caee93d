-- Stores a result as the items of a map, by the worker: a shape's, or rows or a value that the worker has at hand. Rows
-- become items of `batch_size` rows, the elements of a JSON array items of one element or of an array of as many. What
-- a map has given, when there is too much of it for an array, are the outcomes of its items.
-- `path` is the map's own path and /items. Gives the journal number and how many items there are, of which columns.
-- Raises DX001, DX002, 22023 where there is neither a row nor an array. Locks: fence, then the map's row.
CREATE OR REPLACE FUNCTION df._store_items(
    token bytea, instance text, path text, batch_size integer, shape json,
    INOUT row_count bigint, INOUT columns text[], INOUT types oid[], INOUT cells text[], INOUT value json, OUT journal bigint)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    own constant text := left($3, -6);
    mine bigint;
BEGIN
    PERFORM df._lock_fence($1, $2);
    IF json_typeof($5) = 'object' THEN
        value := df._result_of($2, $5);  -- a cell is a value here, and no row
    ELSIF $5 IS NOT NULL THEN
        SELECT f.row_count, f.columns, f.types, f.cells, f.value INTO row_count, columns, types, cells, value
        FROM df._result_for($1, $2, $5) AS f;
        IF json_typeof(value) = 'object' AND json_typeof($5) = 'string' THEN
            SELECT m.map INTO mine FROM df.maps m WHERE m.instance_id = $2 AND m.path = $5 #>> '{}';
            IF FOUND THEN
                SELECT '[' || string_agg(coalesce(i.result::text, 'null'), ', ' ORDER BY i.item) || ']' INTO value
                FROM df.map_items i WHERE i.map = mine;
            END IF;
        END IF;
    END IF;
    IF cardinality(columns) > 0 THEN
        mine := df._new_map($2, own, columns, types, $4);
        IF row_count > 0 THEN
            row_count := df._fill_items(mine, 1, cardinality(columns), cells, row_count::integer, $4);
        END IF;
    ELSIF json_typeof(value) = 'array' THEN
        columns := '{}';
        types := '{}';
        mine := df._new_map($2, own, columns, types, $4);
        IF $4 = 1 THEN
            INSERT INTO df.map_items (map, item, rows, value)
            SELECT mine, e.n, 1, e.part FROM json_array_elements(value) WITH ORDINALITY AS e(part, n);
        ELSE
            INSERT INTO df.map_items (map, item, rows, value)
            SELECT mine, (e.n - 1) / $4 + 1, count(*), ('[' || string_agg(e.part::text, ', ' ORDER BY e.n) || ']')::json
            FROM json_array_elements(value) WITH ORDINALITY AS e(part, n) GROUP BY 2;
        END IF;
        GET DIAGNOSTICS row_count = ROW_COUNT;
    ELSE
        RAISE EXCEPTION 'map % cannot run over %', own, CASE coalesce(json_typeof(value), CASE WHEN columns IS NULL THEN 'null' ELSE 'count' END)
                WHEN 'count' THEN 'the result of a statement that returns no rows'
                WHEN 'null' THEN 'NULL' WHEN 'boolean' THEN 'a boolean' WHEN 'object' THEN 'an object'
                WHEN 'number' THEN 'a number' ELSE 'a text' END
            USING ERRCODE = '22023', HINT = 'Give df.map a query, a result with rows, or a JSON array.';
    END IF;
    journal := df._record_items($2, $3, columns, types, row_count);
    cells := NULL;
    value := NULL;
END $$;
