-- Headers are an object of strings, or JSON's null. Locks: none.
CREATE OR REPLACE FUNCTION df._are_headers(headers jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.jsonb_typeof(headers) = 'null'
        OR (pg_catalog.jsonb_typeof(headers) = 'object'
            AND NOT EXISTS (SELECT FROM pg_catalog.jsonb_each(headers) AS h(k, v) WHERE pg_catalog.jsonb_typeof(h.v) <> 'string'))
$$;

-- What every request has. Raises DF114.
CREATE OR REPLACE FUNCTION df._check_request(what text, url text, method text, headers jsonb, timeout_seconds integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
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
    ELSIF headers IS NOT NULL AND df._are_headers(headers) IS NOT TRUE THEN
        problem := 'headers is not an object of strings';
        hint := 'Write headers as ''{"Accept": "text/csv"}''.';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '%: %', what, problem USING ERRCODE = 'DF114',
            DETAIL = 'A request is looked at when it is built, before anything is sent.', HINT = hint;
    END IF;
END $$;

-- A request as a node, or evaluated inside a step's SELECT: the same wire text. Nothing is sent from here.
-- VOLATILE, so that a statement computes each row's request once. Locks: none.
CREATE OR REPLACE FUNCTION df.http(
    url text, method text DEFAULT 'POST', body text DEFAULT NULL, headers jsonb DEFAULT NULL,
    timeout_seconds integer DEFAULT 30) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
    PERFORM df._check_request('df.http', url, method, headers, timeout_seconds);
    RETURN df._wire(
        '{"http":{"url":' || pg_catalog.to_json(url)::text
        || ',"method":' || pg_catalog.to_json(pg_catalog.upper(method))::text
        || ',"body":' || coalesce(pg_catalog.to_json(body)::text, 'null')
        || ',"headers":' || coalesce(headers::text, 'null')
        || ',"timeout_seconds":' || timeout_seconds::text || '}}');
END $$;

-- With policies; varchar as in df.sql.
CREATE OR REPLACE FUNCTION df.http(
    url varchar, method text DEFAULT 'POST', body text DEFAULT NULL, headers jsonb DEFAULT NULL,
    timeout_seconds integer DEFAULT 30, max_attempts integer DEFAULT NULL, backoff anycompatible DEFAULT NULL,
    max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL, retry_on text[] DEFAULT NULL,
    no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL, on_error text DEFAULT NULL,
    rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL, delivery text DEFAULT NULL,
    database text DEFAULT NULL, retry_unsafe boolean DEFAULT NULL,
    retry_after_max anycompatible DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
    RETURN df._wire(pg_catalog.left(df._node(df.http(url::text, method, body, headers, timeout_seconds)), -1) || df._policy(
        'df.http', max_attempts, df._duration(backoff, 'df.http: backoff', true),
        df._duration(max_backoff, 'df.http: max_backoff', false), jitter, retry_on, no_retry_on,
        df._duration(timeout, 'df.http: timeout', false), on_error, rate_limit, rate_key, delivery, database, NULL,
        NULL, NULL, retry_unsafe, df._duration(retry_after_max, 'df.http: retry_after_max', false)) || '}');
END $$;
