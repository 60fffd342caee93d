-- Stores rows as items of a map, `batch_size` rows each, beginning with item `from_item`; gives the last item's number.
-- `cells` are the rows', flat, `width` a row; `rows` is their number. Locks: none beyond the inserts' own.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._fill_items(
    map bigint, from_item bigint, width integer, cells text[], rows integer, batch_size integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last_item constant bigint := $2 + ($5 - 1) / $6;
BEGIN
    IF $3 = 0 THEN
        INSERT INTO df.map_items (map, item, rows, cells)
        SELECT $1, i, least($6, $5 - (i - $2) * $6), '{}' FROM generate_series($2, last_item) AS i;
    ELSE
        -- A slice of a long array costs a walk from its beginning: so it is taken apart once.
        INSERT INTO df.map_items (map, item, rows, cells)
        SELECT $1, $2 + g, count(*) / $3, array_agg(cell ORDER BY n)
        FROM (SELECT cell, n, (n - 1) / ($3 * $6) AS g FROM unnest($4) WITH ORDINALITY AS u(cell, n)) AS c
        GROUP BY g;
    END IF;
    RETURN last_item;
END $$;

-- The map of an instance whose own path is `path`, made where it is not there yet.
CREATE OR REPLACE FUNCTION df._new_map(instance text, path text, columns text[], types oid[], batch_size integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO df.maps AS m (instance_id, path, columns, types, batch_size) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING RETURNING m.map INTO made;
    IF NOT FOUND THEN
        PERFORM df._recorded_already($1, $2 || '/items');
    END IF;
    RETURN made;
END $$;

-- The record of how many items a map has. Raises DX002. Called under the fence's lock.
CREATE OR REPLACE FUNCTION df._record_items(instance text, path text, columns text[], types oid[], items bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    number constant bigint := nextval('df.journal');
BEGIN
    UPDATE df.maps m SET items = $5 WHERE m.instance_id = $1 AND m.path = left($2, -6);
    INSERT INTO df.checkpoints (instance_id, path, journal, kind, columns, types, cells, row_count, started_at)
    VALUES ($1, $2, number, 'completed', $3, $4, '{}', $5, transaction_timestamp()) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM df._recorded_already($1, $2);
    END IF;
    RETURN number;
END $$;
