-- What is around an expression: a transaction, attempts, a time limit, a catch, an undo. Each returns wire text.
-- Locks: none.

CREATE OR REPLACE FUNCTION df.atomic(
    body text, max_attempts integer DEFAULT NULL, backoff anycompatible DEFAULT NULL,
    max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL, retry_on text[] DEFAULT NULL,
    no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL, on_error text DEFAULT NULL,
    rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL, delivery text DEFAULT NULL,
    database text DEFAULT NULL, autocommit boolean DEFAULT NULL, isolation text DEFAULT NULL,
    settings jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN df._wire('{"atomic":' || df._node(body) || df._policy(
        'df.atomic', max_attempts, df._duration(backoff, 'df.atomic: backoff', true),
        df._duration(max_backoff, 'df.atomic: max_backoff', false), jitter, retry_on, no_retry_on,
        df._duration(timeout, 'df.atomic: timeout', false), on_error, rate_limit, rate_key, delivery, database, autocommit,
        isolation, settings, NULL, NULL) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.retry(
    body text, max_attempts integer, backoff anycompatible DEFAULT NULL,
    max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL, retry_on text[] DEFAULT NULL,
    no_retry_on text[] DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF max_attempts IS NULL THEN
        RAISE EXCEPTION 'df.retry: max_attempts is NULL' USING ERRCODE = 'DF116',
            DETAIL = 'There is no default for it.', HINT = 'Say how many attempts there are in all, the first one included.';
    END IF;
    RETURN df._wire('{"retry":' || df._node(body) || df._policy(
        'df.retry', max_attempts, df._duration(backoff, 'df.retry: backoff', true),
        df._duration(max_backoff, 'df.retry: max_backoff', false), jitter, retry_on, no_retry_on,
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.timeout(body text, duration anycompatible, else_branch text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF duration IS NULL THEN
        RAISE EXCEPTION 'df.timeout: the duration is NULL' USING ERRCODE = 'DF116',
            DETAIL = 'There is no default for it.', HINT = 'Give a text like ''90 s'', an interval or a number of seconds.';
    END IF;
    RETURN df._wire('{"timeout":' || df._node(body) || ',"duration":' || df._duration(duration, 'df.timeout', false)
                    || df._part('else', else_branch) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.try(body text, catch text, finally text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"try":' || df._node(body) || ',"catch":' || df._node(catch) || df._part('finally', finally) || '}')
$$;

CREATE OR REPLACE FUNCTION df.compensate("do" text, undo text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"compensate":' || df._node("do") || ',"undo":' || df._node(undo) || '}')
$$;
