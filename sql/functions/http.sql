-- A request as a node, or evaluated inside a step's SELECT: the same wire text. Nothing is sent from here.
-- VOLATILE, so that a statement computes each row's request once. Locks: none.
CREATE OR REPLACE FUNCTION df.http(
    url text, method text DEFAULT 'POST', body text DEFAULT NULL, headers jsonb DEFAULT NULL,
    timeout_seconds integer DEFAULT 30) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
    problem text;
    hint text;
BEGIN
    IF url IS NULL OR pg_catalog.btrim(url) = '' THEN
        problem := 'url is required and cannot be ' || CASE WHEN url IS NULL THEN 'NULL' ELSE 'empty' END;
        hint := 'In a step, a column that is NULL makes the whole text NULL: use coalesce().';
    ELSIF NOT (url ~* '^https?://' OR url ~ '^[$][^$0-9]' OR pg_catalog.starts_with(url, '{')) THEN
        problem := pg_catalog.format('url %L is not an http address', url);
        hint := 'Begin it with http:// or https://, or with a reference.';
    ELSIF method IS NULL OR pg_catalog.upper(method) NOT IN ('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS') THEN
        problem := pg_catalog.format('method %L is not known', method);
        hint := 'Use GET, POST, PUT, DELETE, PATCH, HEAD or OPTIONS.';
    ELSIF timeout_seconds IS NULL OR timeout_seconds <= 0 THEN
        problem := 'Timeout must be positive';
        hint := 'timeout_seconds is a whole number of seconds.';
    ELSIF pg_catalog.jsonb_typeof(headers) NOT IN ('object', 'null')
        OR (pg_catalog.jsonb_typeof(headers) = 'object'
            AND EXISTS (SELECT FROM pg_catalog.jsonb_each(headers) AS h(k, v) WHERE pg_catalog.jsonb_typeof(h.v) <> 'string'))
    THEN
        problem := 'headers is not an object of strings';
        hint := 'Write headers as ''{"Accept": "text/csv"}''.';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'df.http: %', problem USING ERRCODE = 'DF114', HINT = hint;
    END IF;
    RETURN df._wire(
        '{"http":{"url":' || pg_catalog.to_json(url)::text
        || ',"method":' || pg_catalog.to_json(pg_catalog.upper(method))::text
        || ',"body":' || coalesce(pg_catalog.to_json(body)::text, 'null')
        || ',"headers":' || coalesce(headers::text, 'null')
        || ',"timeout_seconds":' || timeout_seconds::text || '}}');
END $$;
