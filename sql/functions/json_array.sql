-- The text of an array as a JSON array, of any number of dimensions; `element` is the type of its elements.
-- Raises nothing for odd text: it is given as a string. Locks: none.
CREATE OR REPLACE FUNCTION df._json_array(element oid, cell text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    elements text[];
    parts text[];
    width integer;
BEGIN
    BEGIN
        elements := cell::text[];
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN to_json(cell);
    END;
    IF cardinality(elements) = 0 THEN
        RETURN '[]';
    END IF;
    SELECT array_agg(df._json_value(element, e) ORDER BY n) INTO parts
    FROM unnest(elements) WITH ORDINALITY AS u(e, n);
    -- unnest goes through the elements with the last dimension fastest: fold that one first.
    FOR dimension IN REVERSE array_ndims(elements)..1 LOOP
        width := array_length(elements, dimension);
        SELECT array_agg(part ORDER BY g) INTO parts FROM (
            SELECT (n - 1) / width AS g, '[' || string_agg(p, ', ' ORDER BY n) || ']' AS part
            FROM unnest(parts) WITH ORDINALITY AS u(p, n) GROUP BY 1) AS grouped;
    END LOOP;
    RETURN parts[1];
END $$;
