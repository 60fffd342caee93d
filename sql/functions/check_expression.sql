-- What df.start can say about an expression without a parser: shapes, duplicate step names, nesting.
-- Everything else is said by the compiler. Called only where no plan was found for the expression.
-- Raises DF115 (not wire text), DF105, DF511. Locks: none.
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
            RAISE EXCEPTION 'the workflow is nested too deep' USING ERRCODE = 'DF511',
                HINT = 'Write long groups flat: df.seq(...), df.join(...), df.parallel(...).';
    END;
    WITH RECURSIVE node(level, n) AS (
        SELECT 1, doc
        UNION ALL
        SELECT node.level + 1, c.child
        FROM node, LATERAL (
            SELECT node.n -> 'body' AS child
            WHERE node.n ?| ARRAY['step', 'as']
            UNION ALL
            SELECT e FROM pg_catalog.jsonb_array_elements(
                CASE pg_catalog.jsonb_typeof(coalesce(node.n -> 'chain', node.n -> 'join', node.n -> 'parallel'))
                    WHEN 'array' THEN coalesce(node.n -> 'chain', node.n -> 'join', node.n -> 'parallel') END) AS e
        ) AS c
        WHERE node.level <= df._nesting_levels_max() AND pg_catalog.jsonb_typeof(node.n) = 'object'
    ), fact AS (
        SELECT level, n ->> 'step' AS step, (
            pg_catalog.jsonb_typeof(n) <> 'object' OR (
                (n ?& ARRAY['step', 'body'] AND pg_catalog.jsonb_typeof(n -> 'step') = 'string')
                OR (n ?& ARRAY['as', 'body'] AND pg_catalog.jsonb_typeof(n -> 'as') = 'string')
                OR pg_catalog.jsonb_typeof(n -> 'sql') = 'string'
                OR pg_catalog.jsonb_typeof(n -> 'http') = 'object'
                OR pg_catalog.jsonb_typeof(coalesce(n -> 'chain', n -> 'join', n -> 'parallel')) = 'array')
            IS NOT TRUE) AS odd
        FROM node
    )
    SELECT pg_catalog.max(level) AS levels, pg_catalog.bool_or(odd) AS odd,
           (SELECT d.step FROM fact d WHERE d.step IS NOT NULL GROUP BY d.step HAVING pg_catalog.count(*) > 1 LIMIT 1) AS twice
        INTO seen
    FROM fact;
    IF seen.levels > df._nesting_levels_max() THEN
        RAISE EXCEPTION 'the workflow is nested deeper than % levels', df._nesting_levels_max() USING ERRCODE = 'DF511',
            HINT = 'Write long groups flat: df.seq(...), df.join(...), df.parallel(...).';
    ELSIF seen.odd THEN
        RAISE EXCEPTION 'this is not an expression' USING ERRCODE = 'DF115',
            DETAIL = 'It has a node that no df function makes.', HINT = 'Build it with df functions and operators.';
    ELSIF seen.twice IS NOT NULL THEN
        RAISE EXCEPTION 'two steps are named "%"', seen.twice USING ERRCODE = 'DF105',
            DETAIL = 'The name of a step is the address of its checkpoint.', HINT = 'Give each step a name of its own.';
    END IF;
END $$;
