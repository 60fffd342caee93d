-- The text of a composite value as a JSON object; `relation` is the class that holds the type's columns.
-- record_out quotes a field as a whole, doubles quotes and backslashes inside, and writes NULL as nothing.
-- Raises nothing for odd text: it is given as a string. Locks: none.
CREATE OR REPLACE FUNCTION df._json_composite(relation oid, cell text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    names text[];
    types oid[];
    fields text[];
BEGIN
    SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}'), coalesce(array_agg(atttypid ORDER BY attnum), '{}')
        INTO names, types
    FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped;
    IF cardinality(names) = 0 THEN
        RETURN CASE cell WHEN '()' THEN '{}' ELSE to_json(cell)::text END;
    END IF;
    IF cell !~ '^\(("([^"\\]|\\\\|"")*"|[^",()\\]*)(,("([^"\\]|\\\\|"")*"|[^",()\\]*))*\)$' THEN
        RETURN to_json(cell);
    END IF;
    -- Each field with the comma (or parenthesis) in front of it, so that an empty one is seen too.
    SELECT array_agg(CASE
            WHEN length(f[1]) = 1 THEN NULL
            WHEN substr(f[1], 2, 1) = '"'
                THEN replace(replace(substr(f[1], 3, length(f[1]) - 3), '""', '"'), '\\', '\')
            ELSE substr(f[1], 2) END ORDER BY n) INTO fields
    FROM regexp_matches(left(cell, -1), '([(,](?:"(?:[^"\\]|\\\\|"")*"|[^",()\\]*))', 'g') WITH ORDINALITY AS r(f, n);
    IF cardinality(fields) <> cardinality(names) THEN
        RETURN to_json(cell);
    END IF;
    RETURN (SELECT '{' || string_agg(to_json(names[n]) || ': ' || df._json_value(types[n], fields[n]), ', ' ORDER BY n) || '}'
            FROM generate_subscripts(names, 1) AS n);
END $$;
