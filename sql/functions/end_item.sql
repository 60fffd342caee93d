-- Ends an item of a map, by the worker: with the result of a shape or with an error; forgets its records. One that has
-- ended keeps its outcome. Raises DX001 for a lost fence, XX000 where there is no such item.
-- Locks: the fence, then the item's row (a failure: also its map's), then what is forgotten.
CREATE OR REPLACE FUNCTION df._end_item(
    token bytea, instance text, path text, item bigint, shape json, error json, forget text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    IF EXISTS (SELECT FROM df.map_items i JOIN df.maps m ON m.map = i.map
               WHERE m.instance_id = $2 AND m.path = $3 AND i.item = $4 AND i.status <> 'pending') THEN
        -- What its shape names may have been forgotten.
        NULL;
    ELSE
        PERFORM df._put_outcome($2, $3, $4, CASE WHEN $6 IS NULL THEN df._outcome_of($2, $5) END, $6);
    END IF;
    IF cardinality($7) > 0 THEN
        PERFORM df._forget($2, $7);
    END IF;
END $$;
