-- df._as_jsonb, without its subtransaction where there is surely nothing that jsonb cannot hold: NUL and other
-- escapes, great numbers, great depth. Locks: none.
CREATE OR REPLACE FUNCTION df._quick_jsonb(value text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN pg_catalog.length(value) > 2000 OR pg_catalog.strpos(value, '\u') > 0 OR value ~ '[eE][-+]?\d{4}'
                THEN df._as_jsonb(value) ELSE value::jsonb END
$$;

-- The outcomes of the items of a map, in their order, those that have not ended included. `path` is the map's own.
-- Locks: none. SECURITY INVOKER, and a plain query: policies hold, and a million items are streamed.
CREATE OR REPLACE FUNCTION df.map_results(instance_id text, path text)
RETURNS TABLE (item bigint, status text, result jsonb, error jsonb)
LANGUAGE sql STABLE AS $$
    SELECT i.item, i.status, df._quick_jsonb(i.result::text), df._quick_jsonb(i.error::text)
    FROM df.maps m JOIN df.map_items i ON i.map = m.map
    WHERE m.instance_id = $1 AND m.path = $2
    ORDER BY i.item
$$;
