-- Puts the outcome of an item into its row: `result`, or the error. False: it has one already, and keeps it.
-- Raises XX000 where there is no such item. Locks: the item's row; a failure also its map's. Called under the
-- fence's lock, from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._put_outcome(instance text, path text, item bigint, result json, error json) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    mine bigint;
BEGIN
    SELECT m.map INTO mine FROM df.maps m WHERE m.instance_id = instance AND m.path = path;
    UPDATE df.map_items i
    SET status = CASE WHEN error IS NULL THEN 'completed' ELSE 'failed' END, result = result, error = error
    WHERE i.map = mine AND i.item = item AND i.status = 'pending';
    IF FOUND THEN
        IF error IS NOT NULL THEN
            UPDATE df.maps m SET failed = m.failed + 1, first_failed = least(m.first_failed, item)
            WHERE m.instance_id = instance AND m.path = path;
        END IF;
        RETURN true;
    END IF;
    PERFORM FROM df.map_items i WHERE i.map = mine AND i.item = item;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'map % of instance % has no item %', path, instance, item USING ERRCODE = 'XX000';
    END IF;
    RETURN false;
END $$;
