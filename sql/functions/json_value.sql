-- One stored value as JSON text, by its type: booleans, numbers and JSON as they are, arrays and composites
-- with their parts, times as ISO 8601 like to_jsonb, everything else as a string.
--
-- It runs with the owner's rights when an instance ends, and the types are the submitter's. So nothing is
-- ever cast to a type that is not PostgreSQL's own: the CHECK of a domain, a cast to json or a range's
-- canonical function would run the submitter's code as the owner. Parts are taken from the text form.
-- Locks: none. Raises nothing for odd text: what does not look like its type is given as a string.
CREATE OR REPLACE FUNCTION df._json_value(type oid, cell text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    t record;
    m text[];
BEGIN
    IF cell IS NULL THEN
        RETURN 'null';
    END IF;
    CASE
        WHEN type IN (25, 1043, 19, 1042, 18, 2950, 1082) THEN  -- text, varchar, name, bpchar, "char", uuid, date
            RETURN to_json(cell);
        WHEN type IN (20, 21, 23, 700, 701, 1700) THEN  -- int8, int2, int4, float4, float8, numeric
            IF cell ~ '^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$' THEN
                RETURN cell;
            END IF;
            RETURN to_json(cell);
        WHEN type = 16 THEN  -- bool
            -- The type's output is t and f, a cast to text writes the words.
            RETURN CASE WHEN cell IN ('t', 'true') THEN 'true' WHEN cell IN ('f', 'false') THEN 'false'
                        ELSE to_json(cell)::text END;
        WHEN type = 3802 OR type = 114 THEN  -- jsonb, json
            BEGIN
                RETURN cell::json::text;
            EXCEPTION WHEN data_exception OR statement_too_complex THEN
                RETURN to_json(cell);
            END;
        WHEN type = 2278 THEN  -- void
            RETURN 'null';
        WHEN type IN (1114, 1184) THEN  -- timestamp, timestamptz
            m := regexp_match(cell, '^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d)?((?::\d\d){0,2})( BC)?$');
            IF m IS NULL THEN
                RETURN to_json(cell);
            END IF;
            RETURN to_json(m[1] || 'T' || m[2]
                || coalesce(m[3] || CASE WHEN m[4] = '' THEN ':00' ELSE m[4] END, '') || coalesce(m[5], ''));
        ELSE
            NULL;
    END CASE;
    SELECT y.typtype, y.typbasetype, y.typrelid, y.typelem, e.typdelim, y.typsubscript = 'array_subscript_handler'::regproc AS is_array
        INTO t
    FROM pg_type y LEFT JOIN pg_type e ON e.oid = y.typelem WHERE y.oid = type;
    IF NOT FOUND THEN
        RETURN to_json(cell);
    ELSIF t.typtype = 'd' THEN
        RETURN df._json_value(t.typbasetype, cell);
    ELSIF t.is_array AND t.typdelim = ',' THEN
        RETURN df._json_array(t.typelem, cell);
    ELSIF t.typtype = 'c' THEN
        RETURN df._json_composite(t.typrelid, cell);
    END IF;
    RETURN to_json(cell);
END $$;
