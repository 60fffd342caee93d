-- Races, branches, loops, maps. Each returns wire text. NULL in place of an expression is an error, save for the
-- parts that may be left out (else, condition). Locks: none.

-- a | b. Nests as written.
CREATE OR REPLACE FUNCTION df.race(a text, b text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"race":[' || df._node(a) || ',' || df._node(b) || ']}')
$$;

CREATE OR REPLACE FUNCTION df.race(VARIADIC branches text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('race', 'df.race', branches) $$;

CREATE OR REPLACE FUNCTION df.race(branches varchar[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._group('race', 'df.race', branches) $$;

-- c ?> t: an if without else.
CREATE OR REPLACE FUNCTION df.if_then_op(condition text, then_branch text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"if":' || df._node(condition) || ',"then":' || df._node(then_branch) || '}')
$$;

-- p !> e: the else of an if without one.
CREATE OR REPLACE FUNCTION df.if_else_op(partial text, else_branch text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    condition constant text := df._node(partial);
BEGIN
    IF NOT pg_catalog.starts_with(condition, '{"if":') OR (condition::json -> 'else') IS NOT NULL THEN
        RAISE EXCEPTION 'Invalid if-then-else: left side of !> must be a ?> expression' USING ERRCODE = 'DF164',
            DETAIL = 'All operators have one precedence and group from the left.',
            HINT = 'Put a branch of several steps into parentheses: condition ?> (a ~> b) !> (c ~> d).';
    END IF;
    RETURN df._wire(pg_catalog.left(condition, -1) || ',"else":' || df._node(else_branch) || '}');
END $$;

-- A part that may be left out, with its key; empty where it is.
CREATE OR REPLACE FUNCTION df._part(key text, expression text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN expression IS NULL THEN '' ELSE ',"' || key || '":' || df._node(expression) END
$$;

CREATE OR REPLACE FUNCTION df.if(condition text, then_branch text, else_branch text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"if":' || df._node(condition) || ',"then":' || df._node(then_branch) || df._part('else', else_branch) || '}')
$$;

CREATE OR REPLACE FUNCTION df.if_rows(result_name text, then_branch text, else_branch text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"if_rows":' || pg_catalog.to_json(df._name(result_name, 'df.if_rows'))::text
                    || ',"then":' || df._node(then_branch) || df._part('else', else_branch) || '}')
$$;

-- @> a: for ever.
CREATE OR REPLACE FUNCTION df.loop_prefix_op(body text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT df._wire('{"loop":' || df._node(body) || '}') $$;

CREATE OR REPLACE FUNCTION df.loop(body text, condition text DEFAULT NULL, compensate text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT df._wire('{"loop":' || df._node(body) || df._part('while', condition)
                    || coalesce(',"compensate":' || df._word(compensate, '{all}', 'df.loop: compensate'), '') || '}')
$$;

-- The value is the text of any scalar, or JSON. STABLE: the text of a moment depends on the session.
CREATE OR REPLACE FUNCTION df.break(value anycompatible DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF pg_catalog.strpos(value::text, '/*dfc:1:') > 0 THEN
        RAISE EXCEPTION 'df.break: the value is an expression'
            USING ERRCODE = CASE WHEN pg_catalog.starts_with(value::text, '/*dfc:1:') THEN 'DF173' ELSE 'DF115' END,
            DETAIL = 'A loop is left with a value, not with a step.',
            HINT = 'Run the step first, then refer to its result: ... |=> ''x'' ~> df.break(''$x'').';
    END IF;
    RETURN df._wire('{"break":' || coalesce(pg_catalog.to_json(value::text)::text, 'null') || '}');
END $$;

-- `body` once a row of `items`. NULL for one of the numbers or words means its default.
CREATE OR REPLACE FUNCTION df.map(
    items text, body text, name text DEFAULT 'item', max_parallel integer DEFAULT 16, batch_size integer DEFAULT 1,
    on_error text DEFAULT 'fail') RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    source constant text := df._node(items);
BEGIN
    IF NOT pg_catalog.starts_with(source, '{"sql":') OR (source::json -> 'policy') IS NOT NULL THEN
        RAISE EXCEPTION 'df.map: items is not a query' USING ERRCODE = 'DF174',
            DETAIL = 'The items are the rows of a query without policies, or of an earlier result.',
            HINT = 'Give a SELECT, or the name of a result: ''$name''.';
    ELSIF max_parallel < 1 OR batch_size < 1 THEN
        RAISE EXCEPTION 'df.map: % is less than 1', CASE WHEN max_parallel < 1 THEN 'max_parallel' ELSE 'batch_size' END
            USING ERRCODE = 'DF168', DETAIL = 'It counts items.', HINT = 'Give a whole number over zero.';
    END IF;
    RETURN df._wire(
        '{"map":' || source || ',"body":' || df._node(body)
        || ',"name":' || pg_catalog.to_json(CASE WHEN coalesce(name, 'item') = 'item' THEN 'item' ELSE df._name(name, 'df.map') END)::text
        || ',"max_parallel":' || coalesce(max_parallel, 16) || ',"batch_size":' || coalesce(batch_size, 1)
        || ',"on_error":' || df._word(coalesce(on_error, 'fail'), '{fail,continue}', 'df.map: on_error') || '}');
END $$;
