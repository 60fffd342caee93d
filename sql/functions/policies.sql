-- The policies of a step as JSON: only what was given, in one order. Raises DF168 to DF172, DF330, DF331. Locks: none.

-- One of a few words, as JSON; NULL: not given.
CREATE OR REPLACE FUNCTION df._word(given text, words text[], what text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF given <> ALL (words) THEN
        RAISE EXCEPTION '%: ''%'' is not known', what, given USING ERRCODE = 'DF169',
            DETAIL = 'It has to be one of the words that the language has, in lower case.',
            HINT = 'Use ''' || pg_catalog.array_to_string(words, ''', ''') || '''.';
    END IF;
    RETURN pg_catalog.to_json(given)::text;
END $$;

-- What to repeat on: SQLSTATEs, their classes, HTTP status, words.
CREATE OR REPLACE FUNCTION df._conditions(given text[], what text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    condition text;
    written text[] := '{}';
BEGIN
    IF given IS NULL THEN
        RETURN NULL;
    END IF;
    FOREACH condition IN ARRAY given LOOP
        IF condition IS NULL THEN
            RAISE EXCEPTION '%: NULL stands among the texts', what USING ERRCODE = 'DF159',
                DETAIL = 'It is an array of texts.', HINT = 'Write each element in quotes.';
        ELSIF condition !~ '^([0-9A-Z]{5}|[0-9A-Z]{2}|[1-5][0-9][0-9]|[1-5]xx|timeout|transient|ambiguous|all)$' THEN
            RAISE EXCEPTION '%: ''%'' is no error that could be repeated', what, condition USING ERRCODE = 'DF170',
                DETAIL = 'It is held against the SQLSTATE of a statement and the status of a response.',
                HINT = 'Use SQLSTATEs (40001), their classes (40), HTTP status (503, 5xx), timeout, transient, ambiguous, all.';
        END IF;
        written := written || pg_catalog.to_json(condition)::text;
    END LOOP;
    RETURN '[' || pg_catalog.array_to_string(written, ',') || ']';
END $$;

-- What is wrong with the settings of a step; NULL: nothing.
CREATE OR REPLACE FUNCTION df._settings_fault(settings jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    setting record;
BEGIN
    IF settings IS NULL THEN
        RETURN NULL;
    ELSIF pg_catalog.jsonb_typeof(settings) <> 'object' THEN
        RETURN 'settings is not an object';
    END IF;
    FOR setting IN SELECT e.key, pg_catalog.jsonb_typeof(e.value) AS kind FROM pg_catalog.jsonb_each(settings) AS e LOOP
        IF setting.kind NOT IN ('string', 'number', 'boolean') THEN
            RETURN pg_catalog.format('the value of setting "%s" is neither a text nor a number nor a boolean', setting.key);
        ELSIF setting.key !~ '^[A-Za-z_][A-Za-z0-9_$]*([.][A-Za-z_][A-Za-z0-9_$]*)*$' THEN
            RETURN pg_catalog.format('"%s" is not the name of a setting', setting.key);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

-- The first of the settings that a step cannot have, because the executor sets them itself; NULL: none. The list is that of
-- compiler/plan_settings.py.
CREATE OR REPLACE FUNCTION df._own_setting(settings jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT min(s.name) FROM pg_catalog.jsonb_object_keys(settings) AS s(name)
    WHERE pg_catalog.starts_with(pg_catalog.lower(s.name), 'df.') OR pg_catalog.lower(s.name) IN (
        'role', 'session_authorization', 'client_encoding', 'transaction_isolation', 'transaction_read_only',
        'transaction_deferrable', 'statement_timeout', 'transaction_timeout', 'datestyle', 'intervalstyle', 'bytea_output',
        'extra_float_digits', 'standard_conforming_strings', 'row_security', 'lc_monetary', 'log_parameter_max_length_on_error',
        'client_connection_check_interval', 'default_transaction_isolation', 'default_transaction_read_only',
        'default_transaction_deferrable', 'idle_session_timeout', 'idle_in_transaction_session_timeout')
$$;

-- The policies as they stand behind a node: ',"policy":{...}', empty where nothing was given. Durations come as
-- df._duration gives them.
CREATE OR REPLACE FUNCTION df._policy(
    what text, max_attempts integer, backoff text, max_backoff text, jitter boolean, retry_on text[], no_retry_on text[],
    timeout text, on_error text, rate_limit text, rate_key text, delivery text, database text, autocommit boolean,
    isolation text, settings jsonb, retry_unsafe boolean, retry_after_max text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    problem text;
    code text;
    hint text;
    written text;
BEGIN
    IF max_attempts < 1 THEN
        code := 'DF168';
        problem := pg_catalog.format('max_attempts is %s', max_attempts);
        hint := 'The first attempt counts: 1 means that nothing is repeated.';
    ELSIF rate_limit !~ '^[1-9][0-9]{0,8}/(second|minute|hour|day)$' THEN
        code := 'DF171';
        problem := pg_catalog.format('rate_limit %L is not a rate', rate_limit);
        hint := 'Write it as ''100/minute''; per second, minute, hour or day.';
    ELSIF df._settings_fault(settings) IS NOT NULL THEN
        code := 'DF172';
        problem := df._settings_fault(settings);
        hint := 'Write settings as ''{"work_mem": "1GB"}''.';
    ELSIF df._own_setting(settings) IS NOT NULL THEN
        code := 'DF172';
        problem := pg_catalog.format('a step cannot have the setting "%s"', df._own_setting(settings));
        hint := 'dfc sets it itself. Time limits and isolation are policies of their own: timeout, isolation.';
    ELSIF database IS NOT NULL AND what IN ('df.http', 'df.http_multipart') THEN
        code := 'DF330';
        problem := 'database is a policy of SQL steps';
        hint := 'Read what the request needs in a step with database, and refer to that.';
    ELSIF pg_catalog.octet_length(database) NOT BETWEEN 1 AND 63 THEN
        code := 'DF331';
        problem := pg_catalog.format('%L is no name of a database', database);
        hint := 'Write a name of 1 to 63 bytes.';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '%: %', what, problem USING ERRCODE = code,
            DETAIL = 'Policies are looked at when the step is built.', HINT = hint;
    END IF;
    written := pg_catalog.concat_ws(',',
        '"max_attempts":' || max_attempts, '"backoff":' || backoff, '"max_backoff":' || max_backoff, '"jitter":' || jitter::text,
        '"retry_on":' || df._conditions(retry_on, what || ': retry_on'),
        '"no_retry_on":' || df._conditions(no_retry_on, what || ': no_retry_on'),
        '"timeout":' || timeout,
        '"on_error":' || df._word(on_error, '{fail,continue}', what || ': on_error'),
        '"rate_limit":' || pg_catalog.to_json(rate_limit)::text, '"rate_key":' || pg_catalog.to_json(rate_key)::text,
        '"delivery":' || df._word(delivery, '{at_least_once,at_most_once}', what || ': delivery'),
        '"database":' || pg_catalog.to_json(database)::text, '"autocommit":' || autocommit::text,
        '"isolation":' || df._word(isolation, '{read committed,repeatable read,serializable}', what || ': isolation'),
        '"settings":' || settings::text, '"retry_unsafe":' || retry_unsafe::text, '"retry_after_max":' || retry_after_max);
    RETURN CASE WHEN written = '' THEN '' ELSE ',"policy":{' || written || '}' END;
END $$;
