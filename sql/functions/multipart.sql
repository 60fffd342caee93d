-- A multipart/form-data request as a node, or evaluated inside a step's SELECT, like df.http. Locks: none.

-- What is wrong with one part; NULL: nothing. Data is base64, or comes whole from a reference or a variable.
CREATE OR REPLACE FUNCTION df._part_fault(part jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    field record;
BEGIN
    IF pg_catalog.jsonb_typeof(part) <> 'object' THEN
        RETURN 'is not an object';
    END IF;
    FOR field IN SELECT e.key, e.value, pg_catalog.jsonb_typeof(e.value) AS kind FROM pg_catalog.jsonb_each(part) AS e LOOP
        IF field.key NOT IN ('name', 'data_b64', 'filename', 'content_type') THEN
            RETURN pg_catalog.format('has the unknown key "%s"', field.key);
        ELSIF field.kind <> 'string' AND (field.kind <> 'null' OR field.key IN ('name', 'data_b64')) THEN
            RETURN pg_catalog.format('has a "%s" that is not a text', field.key);
        END IF;
    END LOOP;
    IF NOT part ?& ARRAY['name', 'data_b64'] OR part ->> 'name' = '' THEN
        RETURN 'lacks "name" or "data_b64"';
    ELSIF part ->> 'data_b64' !~ '^([$][A-Za-z_]|[{][A-Za-z_])' THEN
        PERFORM pg_catalog.decode(part ->> 'data_b64', 'base64');
    END IF;
    RETURN NULL;
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'has a "data_b64" that is not base64';
END $$;

CREATE OR REPLACE FUNCTION df.http_multipart(
    url text, method text DEFAULT 'POST', parts jsonb DEFAULT NULL, headers jsonb DEFAULT NULL,
    timeout_seconds integer DEFAULT 30, max_attempts integer DEFAULT NULL, backoff anycompatible DEFAULT NULL,
    max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL, retry_on text[] DEFAULT NULL,
    no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL, on_error text DEFAULT NULL,
    rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL, delivery text DEFAULT NULL,
    database text DEFAULT NULL, retry_unsafe boolean DEFAULT NULL,
    retry_after_max anycompatible DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
    problem text;
    hint text;
BEGIN
    IF parts IS NULL OR pg_catalog.jsonb_typeof(parts) = 'null' THEN
        problem := 'parts is required and cannot be NULL';
    ELSIF pg_catalog.jsonb_typeof(parts) <> 'array' THEN
        problem := 'parts is not an array';
    ELSIF pg_catalog.jsonb_array_length(parts) = 0 THEN
        problem := 'parts is empty';
    ELSIF (pg_catalog.upper(method) IN ('POST', 'PUT', 'PATCH')) IS NOT TRUE THEN
        problem := pg_catalog.format('method %L is not known', method);
        hint := 'Use POST, PUT or PATCH.';
    ELSE
        SELECT pg_catalog.format('part %s %s', p.number, df._part_fault(p.part)) INTO problem
        FROM pg_catalog.jsonb_array_elements(parts) WITH ORDINALITY AS p(part, number)
        WHERE df._part_fault(p.part) IS NOT NULL ORDER BY p.number LIMIT 1;
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'df.http_multipart: %', problem USING ERRCODE = 'DF114',
            DETAIL = 'A part has a name and its data in base64, and may have a filename and a content_type.',
            HINT = coalesce(hint, 'Write parts as ''[{"name": "file", "data_b64": "aGk=", "filename": "hi.txt", "content_type": "text/plain"}]''.');
    END IF;
    PERFORM df._check_request('df.http_multipart', url, method, headers, timeout_seconds);
    RETURN df._wire(
        '{"multipart":{"url":' || pg_catalog.to_json(url)::text
        || ',"method":' || pg_catalog.to_json(pg_catalog.upper(method))::text
        || ',"parts":' || parts::text
        || ',"headers":' || coalesce(headers::text, 'null')
        || ',"timeout_seconds":' || timeout_seconds::text || '}' || df._policy(
        'df.http_multipart', max_attempts, df._duration(backoff, 'df.http_multipart: backoff', true),
        df._duration(max_backoff, 'df.http_multipart: max_backoff', false), jitter, retry_on, no_retry_on,
        df._duration(timeout, 'df.http_multipart: timeout', false), on_error, rate_limit, rate_key, delivery, database, NULL,
        NULL, NULL, retry_unsafe, df._duration(retry_after_max, 'df.http_multipart: retry_after_max', false)) || '}');
END $$;
