-- The names of columns as people see them: a repeated one is suffixed _2, _3. Locks: none.
CREATE OR REPLACE FUNCTION df._column_keys(columns text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    keys text[] := '{}';
    key text;
    suffix integer;
BEGIN
    FOR i IN 1..cardinality(columns) LOOP
        key := columns[i];
        suffix := 1;
        WHILE key = ANY (keys) OR (suffix > 1 AND key = ANY (columns)) LOOP
            suffix := suffix + 1;
            key := columns[i] || '_' || suffix;
        END LOOP;
        keys := keys || key;
    END LOOP;
    RETURN keys;
END $$;

-- The rows of a step as people see them: {"rows": [{"answer": 42}], "row_count": 1}.
--
-- With the blanks that jsonb writes, columns in their order, and a repeated name suffixed _2, _3. Common types
-- are written by the CASE here, the others by df._json_value. It is text: the column that takes it checks it once.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._result_json(columns text[], types oid[], cells text[], row_count bigint) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    width constant integer := cardinality(columns);
    keys text[];
    body text;
BEGIN
    IF width = 0 THEN
        -- Rows without columns (SELECT FROM t) are empty objects; a count has none.
        RETURN '{"rows": [], "row_count": ' || row_count || '}';
    END IF;
    keys := ARRAY(SELECT to_json(k.key) || ': ' FROM unnest(df._column_keys(columns)) WITH ORDINALITY AS k(key, n)
                  ORDER BY k.n);
    IF cardinality(cells) = width THEN
        FOR i IN 1..width LOOP
            body := concat(body, CASE WHEN i > 1 THEN ', ' END, keys[i], df._json_value(types[i], cells[i]));
        END LOOP;
        body := '{' || body || '}';
    ELSE
        SELECT string_agg(part, ', ' ORDER BY g) INTO body FROM (
            SELECT (n - 1) / width AS g, '{' || string_agg(keys[c] || CASE
                    WHEN cell IS NULL THEN 'null'
                    WHEN types[c] IN (20, 21, 23) AND cell ~ '^-?[0-9]+$' THEN cell
                    WHEN types[c] IN (25, 1043, 2950, 1082) THEN to_json(cell)::text
                    ELSE df._json_value(types[c], cell) END, ', ' ORDER BY n) || '}' AS part
            FROM (SELECT cell, n, ((n - 1) % width + 1)::integer AS c
                  FROM unnest(cells) WITH ORDINALITY AS u(cell, n)) AS numbered
            GROUP BY 1) AS grouped;
    END IF;
    RETURN concat('{"rows": [', body, '], "row_count": ', row_count, '}');
END $$;
