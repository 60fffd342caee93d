-- The result that a shape describes, as JSON text: a path stands for its checkpoint's result, an array for the
-- array of its elements'. Raises XX000 for a path without a completed checkpoint. Locks: none.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._result_of(instance text, shape json) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    c record;
BEGIN
    IF json_typeof(shape) = 'array' THEN
        RETURN (SELECT concat('[', string_agg(df._result_of(instance, e), ', ' ORDER BY n), ']')
                FROM json_array_elements(shape) WITH ORDINALITY AS u(e, n));
    END IF;
    SELECT k.columns, k.types, k.cells, k.row_count, k.value INTO c FROM df.checkpoints k
    WHERE k.instance_id = instance AND k.path = shape #>> '{}' AND k.kind = 'completed';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'instance % has no completed checkpoint %', instance, shape USING ERRCODE = 'XX000',
            DETAIL = 'The shape of a result names completed checkpoints only.';
    END IF;
    IF c.row_count IS NULL THEN
        RETURN c.value;
    END IF;
    RETURN df._result_json(c.columns, c.types, c.cells, c.row_count);
END $$;
