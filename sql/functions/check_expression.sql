-- What df.start can say about an expression without a parser: shapes, duplicate step names, nesting.
-- Everything else is said by the compiler. Called only where no plan was found for the expression.
-- Raises DF115 (not wire text), DF105, DF511. Locks: none.

-- The children of a node with these keys, as an array; NULL: it has none, or its shape is unknown.
-- STABLE, as jsonb_build_array is, so that PostgreSQL puts the body in the place of the call.
CREATE OR REPLACE FUNCTION df._children(keys text, n jsonb) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN keys IN ('sql', 'http') THEN NULL
        WHEN keys IN ('body step', 'body step policy', 'as body', 'body params') THEN pg_catalog.jsonb_build_array(n -> 'body')
        WHEN keys = 'chain' THEN n -> 'chain'
        WHEN keys IN ('join', 'join on_failure') THEN n -> 'join'
        WHEN keys IN ('parallel', 'parallel on_failure') THEN n -> 'parallel'
        WHEN keys = 'race' THEN n -> 'race'
        WHEN keys = 'if then' THEN pg_catalog.jsonb_build_array(n -> 'if', n -> 'then')
        WHEN keys = 'if else then' THEN pg_catalog.jsonb_build_array(n -> 'if', n -> 'then', n -> 'else')
        WHEN keys = 'then if_rows' THEN pg_catalog.jsonb_build_array(n -> 'then')
        WHEN keys = 'else then if_rows' THEN pg_catalog.jsonb_build_array(n -> 'then', n -> 'else')
        WHEN keys IN ('loop', 'loop compensate') THEN pg_catalog.jsonb_build_array(n -> 'loop')
        WHEN keys IN ('loop while', 'loop while compensate') THEN pg_catalog.jsonb_build_array(n -> 'loop', n -> 'while')
        WHEN keys = 'map body name on_error batch_size max_parallel' THEN pg_catalog.jsonb_build_array(n -> 'map', n -> 'body')
        WHEN keys IN ('atomic', 'atomic policy') THEN pg_catalog.jsonb_build_array(n -> 'atomic')
        WHEN keys = 'retry policy' THEN pg_catalog.jsonb_build_array(n -> 'retry')
        WHEN keys = 'timeout duration' THEN pg_catalog.jsonb_build_array(n -> 'timeout')
        WHEN keys = 'else timeout duration' THEN pg_catalog.jsonb_build_array(n -> 'timeout', n -> 'else')
        WHEN keys = 'try catch' THEN pg_catalog.jsonb_build_array(n -> 'try', n -> 'catch')
        WHEN keys = 'try catch finally' THEN pg_catalog.jsonb_build_array(n -> 'try', n -> 'catch', n -> 'finally')
        WHEN keys = 'undo compensate' THEN pg_catalog.jsonb_build_array(n -> 'compensate', n -> 'undo')
        WHEN keys IN ('every wait_for', 'every timeout wait_for') THEN pg_catalog.jsonb_build_array(n -> 'wait_for')
    END
$$;

-- Whether a node has not the shape that the functions write, apart from its children. NULL is false.
CREATE OR REPLACE FUNCTION df._is_odd(keys text, n jsonb) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN keys = 'sql' THEN pg_catalog.jsonb_typeof(n -> 'sql') <> 'string'
        WHEN keys = 'body step' THEN pg_catalog.jsonb_typeof(n -> 'step') <> 'string'
        WHEN keys IN ('http', 'http policy', 'multipart', 'policy multipart', 'sql policy', 'break') THEN
            pg_catalog.jsonb_typeof(coalesce(n -> 'http', n -> 'multipart')) <> 'object'
            OR pg_catalog.jsonb_typeof(n -> 'sql') <> 'string'
            OR pg_catalog.jsonb_typeof(n -> 'policy') <> 'object'
            OR pg_catalog.jsonb_typeof(n -> 'break') NOT IN ('string', 'null')
        WHEN keys IN ('sleep', 'wait_until', 'wait_for_schedule', 'time_zone wait_for_schedule', 'wait_for_signal',
                      'timeout wait_for_signal', 'call', 'call input', 'call policy', 'call input policy',
                      'wait_for_instance', 'timeout wait_for_instance') THEN
            pg_catalog.jsonb_typeof(n -> 'sleep') NOT IN ('string', 'array')
            OR pg_catalog.jsonb_typeof(coalesce(n -> 'wait_until', n -> 'wait_for_schedule', n -> 'wait_for_signal', n -> 'call',
                                                n -> 'wait_for_instance')) <> 'string'
            OR pg_catalog.jsonb_typeof(n -> 'time_zone') <> 'string' OR pg_catalog.jsonb_typeof(n -> 'timeout') <> 'array'
            OR pg_catalog.jsonb_typeof(n -> 'policy') <> 'object'
        WHEN keys IN ('chain', 'join', 'parallel', 'race', 'join on_failure', 'parallel on_failure') THEN
            CASE WHEN pg_catalog.jsonb_typeof(df._children(keys, n)) <> 'array' THEN true
                 ELSE pg_catalog.jsonb_array_length(df._children(keys, n)) < CASE keys WHEN 'chain' THEN 2 ELSE 1 END
                      OR n ->> 'on_failure' <> 'cancel' END
        ELSE
            df._children(keys, n) IS NULL
            OR pg_catalog.jsonb_typeof(coalesce(n -> 'step', n -> 'as', n -> 'if_rows', n -> 'name')) <> 'string'
            OR pg_catalog.jsonb_typeof(n -> 'policy') <> 'object' OR pg_catalog.jsonb_typeof(n -> 'duration') <> 'array'
            OR pg_catalog.jsonb_typeof(n -> 'every') <> 'array' OR (n ? 'every' AND pg_catalog.jsonb_typeof(n -> 'timeout') <> 'array')
            OR (n ? 'loop' AND n ->> 'compensate' <> 'all')
    END
$$;

CREATE OR REPLACE FUNCTION df._check_expression(wire text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    doc jsonb;
    seen record;
BEGIN
    BEGIN
        doc := df._node(wire)::jsonb;
    EXCEPTION
        WHEN data_exception THEN
            RAISE EXCEPTION 'this is not an expression' USING ERRCODE = 'DF115', DETAIL = SQLERRM,
                HINT = 'Build it with df functions and operators.';
        WHEN statement_too_complex THEN
            RAISE EXCEPTION 'the workflow is nested deeper than % levels', df._nesting_levels_max() USING ERRCODE = 'DF511',
                DETAIL = 'Every operator that is not a flat chain or fan-out is a level: a & b & c is (a & b) & c.',
                HINT = 'Write long groups flat: df.seq(...), df.join(...), df.parallel(...), df.race(...).';
    END;
    -- The keys of a node: jsonb gives them by length, then by bytes.
    -- Around the expression of a definition stand its declared inputs, which are no level.
    WITH RECURSIVE node(level, n, keys) AS (
        SELECT CASE WHEN doc ? 'params' THEN 0 ELSE 1 END, doc, pg_catalog.array_to_string(ARRAY(
            SELECT pg_catalog.jsonb_object_keys(CASE pg_catalog.jsonb_typeof(doc) WHEN 'object' THEN doc END)), ' ')
        UNION ALL
        SELECT node.level + 1, c.child, pg_catalog.array_to_string(ARRAY(
            SELECT pg_catalog.jsonb_object_keys(CASE pg_catalog.jsonb_typeof(c.child) WHEN 'object' THEN c.child END)), ' ')
        FROM node, LATERAL (SELECT df._children(node.keys, node.n) AS children OFFSET 0) AS l, LATERAL pg_catalog.jsonb_array_elements(
            CASE pg_catalog.jsonb_typeof(l.children) WHEN 'array' THEN l.children END) AS c(child)
        WHERE node.level <= df._nesting_levels_max() AND node.keys NOT IN ('sql', 'http')
    ), fact AS (
        SELECT level, n ->> 'step' AS step, df._is_odd(keys, n) OR (keys = 'body params' AND level > 0) AS odd FROM node
    )
    SELECT pg_catalog.max(level) AS levels, pg_catalog.bool_or(odd) AS odd,
           (SELECT d.step FROM fact d WHERE d.step IS NOT NULL GROUP BY d.step HAVING pg_catalog.count(*) > 1 LIMIT 1) AS twice
        INTO seen
    FROM fact;
    IF seen.levels > df._nesting_levels_max() THEN
        RAISE EXCEPTION 'the workflow is nested deeper than % levels', df._nesting_levels_max() USING ERRCODE = 'DF511',
            DETAIL = 'Every operator that is not a flat chain or fan-out is a level: a & b & c is (a & b) & c.',
            HINT = 'Write long groups flat: df.seq(...), df.join(...), df.parallel(...), df.race(...).';
    ELSIF seen.odd THEN
        RAISE EXCEPTION 'this is not an expression' USING ERRCODE = 'DF115',
            DETAIL = 'It has a node that no df function makes.', HINT = 'Build it with df functions and operators.';
    ELSIF seen.twice IS NOT NULL THEN
        RAISE EXCEPTION 'two steps are named "%"', seen.twice USING ERRCODE = 'DF105',
            DETAIL = 'The name of a step is the address of its checkpoint.', HINT = 'Give each step a name of its own.';
    END IF;
END $$;
