-- Declared inputs of a definition: their declaration, and what is given for them.

-- A declaration in its normal form, {"<name>": {"type": "date", "default": <json>, "required": true}}: what is given may
-- be the type alone. `default` is there where there is one; required is what has none, unless it says otherwise.
-- NULL and {} are no declaration: NULL. Raises 22023. Locks: none.
CREATE OR REPLACE FUNCTION df._params(params jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    problem text;
    normal jsonb;
BEGIN
    IF params IS NULL OR params = '{}' OR params = 'null' THEN
        RETURN NULL;
    ELSIF pg_catalog.jsonb_typeof(params) <> 'object' THEN
        problem := pg_catalog.format('It is %s, not an object.', params);
    ELSE
        SELECT pg_catalog.string_agg(f.problem, E'\n' ORDER BY f.key), pg_catalog.jsonb_object_agg(f.key, f.normal)
            INTO problem, normal
        FROM (SELECT p.key, df._param_problem(p.key, p.value) AS problem,
                     CASE pg_catalog.jsonb_typeof(p.value)
                         WHEN 'string' THEN pg_catalog.jsonb_build_object('type', pg_catalog.btrim(p.value #>> '{}'), 'required', true)
                         ELSE pg_catalog.jsonb_build_object(
                             'type', pg_catalog.btrim(p.value ->> 'type'),
                             'required', coalesce(p.value -> 'required', pg_catalog.to_jsonb(NOT p.value ? 'default')))
                              || CASE WHEN p.value ? 'default' THEN pg_catalog.jsonb_build_object('default', p.value -> 'default')
                                      ELSE '{}' END
                     END AS normal
              FROM pg_catalog.jsonb_each(params) AS p) AS f;
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'df.define: params is not a declaration of inputs' USING ERRCODE = '22023', DETAIL = problem,
            HINT = 'Write {"day": "date"} or {"day": {"type": "date", "default": "2026-01-01", "required": false}}.';
    END IF;
    RETURN normal;
END $$;

-- What is wrong with one declaration; NULL: nothing. Locks: none.
CREATE OR REPLACE FUNCTION df._param_problem(key text, value jsonb) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    type constant text := CASE pg_catalog.jsonb_typeof(value) WHEN 'string' THEN value #>> '{}' ELSE value ->> 'type' END;
    found regtype;
BEGIN
    IF key !~ '^[A-Za-z_][A-Za-z0-9_]*$' OR pg_catalog.octet_length(key) > 63 THEN
        RETURN pg_catalog.format('%s: not a name (a letter or underscore, then letters, digits and underscores)', pg_catalog.to_json(key));
    ELSIF pg_catalog.jsonb_typeof(value) NOT IN ('string', 'object') OR type IS NULL THEN
        RETURN pg_catalog.format('%s: it has no type', key);
    ELSIF pg_catalog.jsonb_typeof(value) = 'object' AND value - '{type,default,required}'::text[] <> '{}' THEN
        RETURN pg_catalog.format('%s: unknown %s (there is type, default and required)', key,
            (SELECT pg_catalog.string_agg(k, ', ') FROM pg_catalog.jsonb_object_keys(value - '{type,default,required}'::text[]) AS k));
    ELSIF pg_catalog.jsonb_typeof(value) = 'object' AND pg_catalog.jsonb_typeof(value -> 'required') <> 'boolean' THEN
        RETURN pg_catalog.format('%s: required is true or false', key);
    END IF;
    found := df._type(type);
    IF found IS NULL THEN
        RETURN pg_catalog.format('%s: there is no type %s', key, pg_catalog.quote_literal(type));
    ELSIF pg_catalog.jsonb_typeof(value) = 'object' AND value ? 'default' THEN
        RETURN df._value_problem(key, found, value -> 'default', true);
    END IF;
    RETURN NULL;
END $$;

-- The type that a text names; NULL: none. Not every version of PostgreSQL gives NULL for what it cannot parse.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._type(name text) RETURNS regtype
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN pg_catalog.to_regtype(name);
EXCEPTION WHEN syntax_error OR invalid_name OR undefined_object OR name_too_long OR invalid_parameter_value
             OR feature_not_supported OR cardinality_violation THEN
    RETURN NULL;
END $$;

-- Whether reading a text as this type runs nothing but PostgreSQL's own functions: no check of a domain, nothing of a range
-- that somebody has made. Locks: none.
CREATE OR REPLACE FUNCTION df._is_plain(type regtype) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT e.typtype IN ('b', 'e') OR e.typnamespace = 'pg_catalog'::regnamespace
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_type e ON e.oid = CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE t.oid END
    WHERE t.oid = type
$$;

-- What is wrong with a JSON value for an input of this type; NULL: nothing. Without `everything` only what reading
-- runs no code of anybody is tried: so does the worker, whose rights others must not have.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._value_problem(key text, type regtype, value jsonb, everything boolean) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    kind constant text := pg_catalog.jsonb_typeof(value);
    element constant regtype := (SELECT t.typelem FROM pg_catalog.pg_type t WHERE t.oid = type AND t.typcategory = 'A');
    inner_problem text;
BEGIN
    IF kind = 'null' OR type IN ('json'::regtype, 'jsonb'::regtype) OR NOT (everything OR df._is_plain(type)) THEN
        RETURN NULL;
    ELSIF kind = 'array' AND element IS NOT NULL THEN
        SELECT df._value_problem(pg_catalog.format('%s[%s]', key, e.n), element, e.value, everything) INTO inner_problem
        FROM pg_catalog.jsonb_array_elements(value) WITH ORDINALITY AS e(value, n)
        WHERE pg_catalog.jsonb_typeof(e.value) <> 'array'
          AND df._value_problem(key, element, e.value, everything) IS NOT NULL
        ORDER BY e.n LIMIT 1;
        RETURN inner_problem;
    END IF;
    EXECUTE pg_catalog.format('SELECT %L::%s', value #>> '{}', pg_catalog.format_type(type, NULL));
    RETURN NULL;
EXCEPTION WHEN data_exception OR integrity_constraint_violation OR syntax_error_or_access_rule_violation OR program_limit_exceeded THEN
    RETURN pg_catalog.format('%s: %s is not a %s', key, pg_catalog.left(value::text, 200), pg_catalog.format_type(type, NULL));
END $$;

-- What is given for a definition's inputs, with the defaults. Where nothing is declared, anything may be given.
-- Raises 22023, with every problem on a line of DETAIL. `everything`: see df._value_problem. Locks: none.
CREATE OR REPLACE FUNCTION df._input(name text, params jsonb, input jsonb, everything boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    given constant jsonb := coalesce(nullif(input, 'null'), '{}');
    filled jsonb;
    problems text;
BEGIN
    IF params IS NULL THEN
        RETURN input;
    ELSIF pg_catalog.jsonb_typeof(given) <> 'object' THEN
        problems := pg_catalog.format('It is %s, not an object.', pg_catalog.left(given::text, 200));
    ELSE
        SELECT given || coalesce(pg_catalog.jsonb_object_agg(p.key, p.value -> 'default') FILTER (
                   WHERE p.value ? 'default' AND NOT given ? p.key), '{}')
            INTO filled FROM pg_catalog.jsonb_each(params) AS p;
        SELECT pg_catalog.string_agg(f.problem, E'\n' ORDER BY f.key) INTO problems
        FROM (SELECT coalesce(p.key, g.key) AS key, CASE
                  WHEN p.key IS NULL THEN pg_catalog.format('%s: unknown', g.key)
                  WHEN (p.value -> 'required')::boolean AND NOT filled ? p.key THEN pg_catalog.format('%s: missing', p.key)
                  WHEN (p.value -> 'required')::boolean AND filled -> p.key = 'null' THEN pg_catalog.format('%s: null', p.key)
                  WHEN filled ? p.key AND df._type(p.value ->> 'type') IS NOT NULL
                      THEN df._value_problem(p.key, df._type(p.value ->> 'type'), filled -> p.key, everything)
              END AS problem
              FROM pg_catalog.jsonb_each(params) AS p FULL JOIN pg_catalog.jsonb_each(given) AS g ON g.key = p.key) AS f;
    END IF;
    IF problems IS NOT NULL THEN
        RAISE EXCEPTION 'the input of workflow "%" is not what it declares', name USING ERRCODE = '22023', DETAIL = problems,
            HINT = pg_catalog.format('It takes %s.', (
                SELECT pg_catalog.string_agg(pg_catalog.format('%s (%s%s)', p.key, p.value ->> 'type',
                    CASE WHEN (p.value -> 'required')::boolean THEN '' ELSE ', optional' END), ', ' ORDER BY p.key)
                FROM pg_catalog.jsonb_each(params) AS p));
    END IF;
    RETURN filled;
END $$;
