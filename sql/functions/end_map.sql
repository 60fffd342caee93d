-- Records the result of a map: the array of its items' results in order (null for one that failed or did not
-- begin), or their numbers where that would be over the limits of a result. `keep`: give it back. `rider` as in df._record.
-- Raises DX001, DX002, DX004, XX000 where there is no such map. Locks: as df._record.
CREATE OR REPLACE FUNCTION df._end_map(
    token bytea, instance text, path text, keep boolean, rider json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text, OUT value json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    m df.maps;
    result json;
BEGIN
    PERFORM df._lock_fence($1, $2);
    SELECT s.* INTO m FROM df.maps s WHERE s.instance_id = $2 AND s.path = $3;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'instance % has no items of a map %', $2, $3 USING ERRCODE = 'XX000';
    END IF;
    IF m.items <= df._result_rows_max() AND df._result_bytes_max() >= (
        SELECT coalesce(sum(coalesce(octet_length(i.result::text), 4) + 2), 2) FROM df.map_items i WHERE i.map = m.map)
    THEN
        SELECT '[' || coalesce(string_agg(coalesce(i.result::text, 'null'), ', ' ORDER BY i.item), '') || ']' INTO result
        FROM df.map_items i WHERE i.map = m.map;
    ELSE
        result := '{"count": ' || m.items || ', "failed": ' || m.failed || '}';
    END IF;
    SELECT r.journal, r.finished, r.cancel_reason INTO journal, finished, cancel_reason
    FROM df._record($1, $2, $3, 'completed', result, NULL, $5) AS r;
    IF $4 THEN
        value := result;
    END IF;
END $$;
