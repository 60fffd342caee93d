-- The functions that build an expression: each returns wire text. Locks: none.
-- No function is STRICT: NULL in place of an expression is an error, not a NULL workflow.

CREATE OR REPLACE FUNCTION df.sql(query text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF query IS NULL OR pg_catalog.btrim(query, E' \t\n\r\f\v') = '' THEN
        RAISE EXCEPTION 'df.sql: the statement is %', CASE WHEN query IS NULL THEN 'NULL' ELSE 'empty' END
            USING ERRCODE = 'DF116', DETAIL = 'A step is one SQL statement.', HINT = 'Give one SQL statement.';
    ELSIF pg_catalog.strpos(query, '/*dfc:1:') > 0 THEN
        RAISE EXCEPTION 'df.sql: the statement holds an expression' USING ERRCODE = 'DF115',
            DETAIL = 'What df functions and operators return is not SQL.',
            HINT = 'Chain it with ~> instead.';
    END IF;
    RETURN df._wire('{"sql":' || pg_catalog.to_json(query)::text || '}');
END $$;

-- With policies. The first argument is varchar, so that a call without policies is never ambiguous: PostgreSQL
-- prefers text, and such a call does not pay for the defaults.
CREATE OR REPLACE FUNCTION df.sql(
    query varchar, max_attempts integer DEFAULT NULL, backoff anycompatible DEFAULT NULL,
    max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL, retry_on text[] DEFAULT NULL,
    no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL, on_error text DEFAULT NULL,
    rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL, delivery text DEFAULT NULL,
    database text DEFAULT NULL, autocommit boolean DEFAULT NULL, isolation text DEFAULT NULL,
    settings jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN df._wire(pg_catalog.left(df._node(df.sql(query::text)), -1) || df._policy(
        'df.sql', max_attempts, df._duration(backoff, 'df.sql: backoff', true),
        df._duration(max_backoff, 'df.sql: max_backoff', false), jitter, retry_on, no_retry_on,
        df._duration(timeout, 'df.sql: timeout', false), on_error, rate_limit, rate_key, delivery, database, autocommit,
        isolation, settings, NULL, NULL) || '}');
END $$;

CREATE OR REPLACE FUNCTION df.step(name text, body text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"step":' || pg_catalog.to_json(df._name(name, 'df.step'))::text || ',"body":' || df._node(body) || '}')
$$;

-- With policies: they are those of the one statement or request in it.
CREATE OR REPLACE FUNCTION df.step(
    name varchar, body text, max_attempts integer DEFAULT NULL, backoff anycompatible DEFAULT NULL,
    max_backoff anycompatible DEFAULT NULL, jitter boolean DEFAULT NULL, retry_on text[] DEFAULT NULL,
    no_retry_on text[] DEFAULT NULL, timeout anycompatible DEFAULT NULL, on_error text DEFAULT NULL,
    rate_limit text DEFAULT NULL, rate_key text DEFAULT NULL, delivery text DEFAULT NULL,
    database text DEFAULT NULL, autocommit boolean DEFAULT NULL, isolation text DEFAULT NULL,
    settings jsonb DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    inside constant text := df._node(body);
    policy constant text := df._policy(
        'df.step', max_attempts, df._duration(backoff, 'df.step: backoff', true),
        df._duration(max_backoff, 'df.step: max_backoff', false), jitter, retry_on, no_retry_on,
        df._duration(timeout, 'df.step: timeout', false), on_error, rate_limit, rate_key, delivery, database, autocommit,
        isolation, settings, NULL, NULL);
BEGIN
    IF policy <> '' THEN
        PERFORM df._check_step_policy(name, inside, policy);
    END IF;
    RETURN df._wire('{"step":' || pg_catalog.to_json(df._name(name, 'df.step'))::text || ',"body":' || inside || policy || '}');
END $$;

-- Policies around `inside` (the JSON of a node): there has to be one thing that they are about, and one word on each.
-- What is in a step or binding in it is for the compiler to see.
CREATE OR REPLACE FUNCTION df._check_step_policy(name text, inside text, policy text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    twice text;
BEGIN
    IF inside !~ '^[{]"(sql|http|multipart|call|step|as|break)":' THEN
        RAISE EXCEPTION 'df.step: step "%" has policies and is not one statement or request', name USING ERRCODE = 'DF132',
            DETAIL = 'The policies of a step are those of the one thing that it does.',
            HINT = 'Use df.retry(...) or df.timeout(...) around the steps, or give each step its own.';
    END IF;
    IF inside ~ '^[{]"(http|multipart)":' AND policy ~ '"database":' AND ('{' || pg_catalog.substr(policy, 2) || '}')::jsonb -> 'policy' ? 'database' THEN
        RAISE EXCEPTION 'df.step: database is a policy of SQL steps' USING ERRCODE = 'DF330',
            DETAIL = 'Policies are looked at when the step is built.',
            HINT = 'Read what the request needs in a step with database, and refer to that.';
    END IF;
    SELECT pg_catalog.string_agg(k.key, ', ') INTO twice
    FROM pg_catalog.json_object_keys(inside::json -> 'policy') AS k(key)
    WHERE ('{' || pg_catalog.substr(policy, 2) || '}')::jsonb -> 'policy' ? k.key;
    IF twice IS NOT NULL THEN
        RAISE EXCEPTION 'df.step: step "%" gives % twice', name, twice USING ERRCODE = 'DF133',
            DETAIL = 'The step and the statement or request in it both have that policy.', HINT = 'Give it once.';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION df.as(fut text, name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"as":' || pg_catalog.to_json(df._name(name, 'df.as'))::text || ',"body":' || df._node(fut) || '}')
$$;

-- a ~> b. A chain on either side is taken in, so that chains are flat.
CREATE OR REPLACE FUNCTION df.seq(a text, b text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    more text := df._node(b);
BEGIN
    IF pg_catalog.starts_with(more, '{"chain":[') THEN
        more := pg_catalog.substr(more, 11, pg_catalog.length(more) - 12);
    END IF;
    RETURN df._extended(a, '{"chain":[', more);
END $$;

-- A chain of one is that one.
CREATE OR REPLACE FUNCTION df.seq(VARIADIC steps text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN pg_catalog.cardinality(steps) = 1 THEN df._wire(df._node(steps[1]))
                ELSE df._group('chain', 'df.seq', steps) END
$$;

-- The same from an array. varchar[], so that VARIADIC of a text[] is never ambiguous.
CREATE OR REPLACE FUNCTION df.seq(branches varchar[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df.seq(VARIADIC branches::text[]) $$;

CREATE OR REPLACE FUNCTION df.join(a text, b text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"join":[' || df._node(a) || ',' || df._node(b) || ']}')
$$;

CREATE OR REPLACE FUNCTION df.join(VARIADIC branches text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('join', 'df.join', branches) $$;

-- on_failure has no place next to VARIADIC, nor in df.join(a, b).
CREATE OR REPLACE FUNCTION df.join(branches varchar[], on_failure text DEFAULT 'wait') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('join', 'df.join', branches, on_failure) $$;

CREATE OR REPLACE FUNCTION df.join3(a text, b text, c text, on_failure text DEFAULT 'wait') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('join', 'df.join3', ARRAY[a, b, c], on_failure) $$;

CREATE OR REPLACE FUNCTION df.parallel(VARIADIC branches text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('parallel', 'df.parallel', branches) $$;

CREATE OR REPLACE FUNCTION df.parallel(branches varchar[], on_failure text DEFAULT 'wait') RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('parallel', 'df.parallel', branches, on_failure) $$;

-- a |=> b: a binding where b is one bare identifier, else a fan-out; one on the left is extended.
CREATE OR REPLACE FUNCTION df.as_op(a text, b text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN df._is_identifier(b) THEN df.as(a, b) ELSE df._extended(a, '{"parallel":[', df._node(b)) END
$$;
