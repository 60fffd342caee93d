-- The next items of a map behind number `after`, in order, at most `max`; without those that have ended unless
-- `ended`. The first row is no item: columns and types of all of them, in `rows` how many items have failed so far, and
-- in `item` and `value` number and error of the first of them.
--
-- Who begins again asks for those behind 0. Then what has ended in front of the first that has not is noted at the map,
-- so that however often an instance is taken over, no item that has ended is read twice for that.
-- Raises DX001 for a lost fence, XX000 where there is no such map. Locks: the fence, then the map's row.
CREATE OR REPLACE FUNCTION df._fetch_items(token bytea, instance text, path text, after bigint, max integer, ended boolean)
RETURNS TABLE (item bigint, rows bigint, columns text[], types oid[], cells text[], value json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    m df.maps;
    behind bigint := $4;
BEGIN
    PERFORM df._lock_fence($1, $2);
    SELECT s.* INTO m FROM df.maps s WHERE s.instance_id = $2 AND s.path = $3;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'instance % has no items of a map %', $2, $3 USING ERRCODE = 'XX000';
    END IF;
    rows := m.failed;
    columns := m.columns;
    types := m.types;
    item := m.first_failed;
    value := (SELECT i.error FROM df.map_items i WHERE i.map = m.map AND i.item = m.first_failed);
    RETURN NEXT;
    IF $6 THEN
        RETURN QUERY
        SELECT i.item, i.rows::bigint, NULL::text[], NULL::oid[], i.cells, i.value FROM df.map_items i
        WHERE i.map = m.map AND i.item > behind ORDER BY i.item LIMIT $5;
        RETURN;
    END IF;
    IF behind < m.ended_to OR behind = 0 THEN
        behind := coalesce((SELECT i.item FROM df.map_items i
                            WHERE i.map = m.map AND i.item > m.ended_to AND i.status = 'pending' ORDER BY i.item LIMIT 1),
                           m.items + 1) - 1;
        IF behind > m.ended_to THEN
            UPDATE df.maps s SET ended_to = behind WHERE s.instance_id = $2 AND s.path = $3;
        END IF;
        behind := greatest(behind, $4);
    END IF;
    RETURN QUERY
    SELECT i.item, i.rows::bigint, NULL::text[], NULL::oid[], i.cells, i.value FROM df.map_items i
    WHERE i.map = m.map AND i.item > behind AND i.status = 'pending' ORDER BY i.item LIMIT $5;
END $$;
