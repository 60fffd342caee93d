-- Values on their way into the text of a request, or into the value of a break: what a reference becomes in a URL,
-- in JSON, in other text. compiler/templates.py writes the calls; they run in the submitter's session, as a part of
-- the step that computes the text. A value comes as the array that json_build_array makes of it, which takes any
-- type, and NULL without one. Locks: none.

-- A value as text, in the form that JSON has for it (times as ISO 8601); a string without its quotes.
CREATE OR REPLACE FUNCTION df._text_part(value json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.json_array_element_text(value, 0)
$$;

-- A value as JSON.
CREATE OR REPLACE FUNCTION df._json_part(value json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.json_array_element(value, 0)::text
$$;

-- Rows, each as a JSON object, as a JSON array.
CREATE OR REPLACE FUNCTION df._rows_part(rows text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '[' || coalesce(pg_catalog.array_to_string(rows, ', '), '') || ']'
$$;

-- Text as a JSON value: a string, NULL as null.
CREATE OR REPLACE FUNCTION df._json_text(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(pg_catalog.to_json(value)::text, 'null')
$$;

-- Text as a part of a JSON string: escaped, without quotes.
CREATE OR REPLACE FUNCTION df._json_inside(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.substr(pg_catalog.to_json(value)::text, 2, pg_catalog.length(pg_catalog.to_json(value)::text) - 2)
$$;

-- Text as a part of a URL that is not its beginning: all but RFC 3986's unreserved characters percent-encoded.
CREATE OR REPLACE FUNCTION df._url_part(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value ~ '^[A-Za-z0-9._~-]*$' THEN value ELSE (
        SELECT pg_catalog.string_agg(
            CASE WHEN b.code BETWEEN 33 AND 126 AND pg_catalog.chr(b.code) ~ '[A-Za-z0-9._~-]' THEN pg_catalog.chr(b.code)
                 ELSE '%' || pg_catalog.upper(pg_catalog.lpad(pg_catalog.to_hex(b.code), 2, '0')) END,
            '' ORDER BY n.number)
        FROM pg_catalog.convert_to(value, 'UTF8') AS u(bytes),
             pg_catalog.generate_series(0, pg_catalog.octet_length(u.bytes) - 1) AS n(number),
             pg_catalog.get_byte(u.bytes, n.number) AS b(code)) END
$$;

-- The data of a part of a multipart request: bytes as base64, text as it is, because it is base64 already.
CREATE OR REPLACE FUNCTION df._data_part(value text, type regtype) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN type::pg_catalog.oid = 17 THEN pg_catalog.encode(value::pg_catalog.bytea, 'base64') ELSE value END
$$;

-- Data in a request: `{secret:` in it is written `{secret::`, which the executor turns back. Data names no secret.
CREATE OR REPLACE FUNCTION df._no_secret(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.replace(value, '{secret:', '{secret::')
$$;
