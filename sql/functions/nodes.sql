-- The functions that build an expression: each returns wire text. Locks: none.
-- No function is STRICT: NULL in place of an expression is an error, not a NULL workflow.

CREATE OR REPLACE FUNCTION df.sql(query text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF query IS NULL OR pg_catalog.btrim(query, E' \t\n\r\f\v') = '' THEN
        RAISE EXCEPTION 'df.sql: the statement is %', CASE WHEN query IS NULL THEN 'NULL' ELSE 'empty' END
            USING ERRCODE = 'DF116', HINT = 'Give one SQL statement.';
    ELSIF pg_catalog.strpos(query, '/*dfc:1:') > 0 THEN
        RAISE EXCEPTION 'df.sql: the statement holds an expression' USING ERRCODE = 'DF115',
            DETAIL = 'What df functions and operators return is not SQL.',
            HINT = 'Chain it with ~> instead.';
    END IF;
    RETURN df._wire('{"sql":' || pg_catalog.to_json(query)::text || '}');
END $$;

CREATE OR REPLACE FUNCTION df.step(name text, body text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"step":' || pg_catalog.to_json(df._name(name, 'df.step'))::text || ',"body":' || df._node(body) || '}')
$$;

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

CREATE OR REPLACE FUNCTION df.join(a text, b text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"join":[' || df._node(a) || ',' || df._node(b) || ']}')
$$;

CREATE OR REPLACE FUNCTION df.join(VARIADIC branches text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('join', 'df.join', branches) $$;

CREATE OR REPLACE FUNCTION df.join3(a text, b text, c text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('join', 'df.join3', ARRAY[a, b, c]) $$;

CREATE OR REPLACE FUNCTION df.parallel(VARIADIC branches text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('parallel', 'df.parallel', branches) $$;

-- a |=> b: a binding where b is one bare identifier, else a fan-out; one on the left is extended.
CREATE OR REPLACE FUNCTION df.as_op(a text, b text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN df._is_identifier(b) THEN df.as(a, b) ELSE df._extended(a, '{"parallel":[', df._node(b)) END
$$;
