-- Parts that the node functions share: what an argument is, and how wire text is put together.
--
-- Wire text is /*dfc:1:<characters of the JSON>*/<JSON>; see docs/internals.md. It is written as text, never
-- through jsonb, which would change the order of keys. Locks: none.

-- Whether a text is one bare identifier: a letter, underscore or character outside ASCII, then also digits, $.
CREATE OR REPLACE FUNCTION df._is_identifier(t text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT t ~ '^[^\u0001-\u0040\u005b-\u005e\u0060\u007b-\u007f][^\u0001-\u0023\u0025-\u002f\u003a-\u0040\u005b-\u005e\u0060\u007b-\u007f]*$'
$$;

-- Refuses the answer of a helper (df.setvar) that was put in the place of a step in the same statement.
CREATE OR REPLACE FUNCTION df._refuse_helper(answer text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    what constant text := df._helper_of(answer);
BEGIN
    IF what IS NOT NULL THEN
        RAISE EXCEPTION '% cannot be used as a workflow step. Call % before df.start().', what, what USING ERRCODE = 'DF155',
            DETAIL = pg_catalog.format('It has been carried out now, and its answer "%s" is not a step.', answer),
            HINT = pg_catalog.format('Write SELECT %s(...) as a statement of its own.', what);
    END IF;
END $$;

-- The JSON of an argument that stands for an expression: of wire text its JSON, of other text a SQL step.
CREATE OR REPLACE FUNCTION df._node(expression text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    counted text;
    body text;
BEGIN
    IF expression IS NULL THEN
        RAISE EXCEPTION 'NULL stands where a step is expected' USING ERRCODE = 'DF116',
            DETAIL = 'A text that is put together with || is NULL when one of its pieces is.',
            HINT = 'Give a string with a SQL statement, or what a df function returns.';
    ELSIF pg_catalog.starts_with(expression, '/*dfc:1:') THEN
        -- left and right with a small number do not go through the whole text; substr does, several times.
        counted := pg_catalog.split_part(pg_catalog.substr(pg_catalog.left(expression, 20), 9), '*/', 1);
        body := pg_catalog.right(expression, -10 - pg_catalog.length(counted));
        IF counted ~ '^[0-9]{1,9}$' AND pg_catalog.length(body) = counted::integer THEN
            RETURN body;
        END IF;
    ELSIF pg_catalog.strpos(expression, '/*dfc:1:') = 0 THEN
        IF df._is_identifier(expression) THEN
            PERFORM df._refuse_helper(expression);
            RAISE EXCEPTION 'the text "%" is one word, not a step', expression USING ERRCODE = 'DF112',
                DETAIL = 'A single word is a name: right of |=> it binds a result, elsewhere it means a defined workflow.',
                HINT = pg_catalog.format('Write df.call(%L) for a workflow, df.sql(%L) for a statement.', expression, expression);
        ELSIF pg_catalog.btrim(expression, E' \t\n\r\f\v') = '' THEN
            RAISE EXCEPTION 'an empty text stands where a step is expected' USING ERRCODE = 'DF116',
                DETAIL = 'A step is one SQL statement.',
                HINT = 'Give a string with a SQL statement, or what a df function returns.';
        END IF;
        RETURN '{"sql":' || pg_catalog.to_json(expression)::text || '}';
    END IF;
    RAISE EXCEPTION 'text was joined to an expression' USING ERRCODE = 'DF115',
        DETAIL = 'What df functions and operators return is not SQL that could be appended to or cut.',
        HINT = '|| has the same precedence as ~> and |=>: put parentheses around the strings that belong together.';
END $$;

-- JSON as wire text.
CREATE OR REPLACE FUNCTION df._wire(body text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '/*dfc:1:' || pg_catalog.length(body)::text || '*/' || body
$$;

-- A name of a step or binding, checked. `what` names the function for the message.
CREATE OR REPLACE FUNCTION df._name(name text, what text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF name IS NULL THEN
        RAISE EXCEPTION '%: the name is NULL', what USING ERRCODE = 'DF116',
            DETAIL = 'A name is a letter (a to z) or underscore, then letters, digits and underscores.', HINT = 'Give a name in quotes.';
    ELSIF name !~ '^[A-Za-z_][A-Za-z0-9_]*$' AND what IN ('df.define', 'df.schedule', 'df.call') THEN
        RAISE EXCEPTION '%: ''%'' cannot be a name — must match [a-zA-Z_][a-zA-Z0-9_]*', what, name USING ERRCODE = 'DF113',
            DETAIL = 'A name is a letter (a to z) or underscore, then letters, digits and underscores.',
            HINT = 'Choose a name like ''nightly_report''.';
    ELSIF name !~ '^[A-Za-z_][A-Za-z0-9_]*$' THEN
        RAISE EXCEPTION '%: result name ''%'' is not a valid identifier — must match [a-zA-Z_][a-zA-Z0-9_]*', what, name USING ERRCODE = 'DF113',
            DETAIL = 'A name is a letter (a to z) or underscore, then letters, digits and underscores.',
            HINT = 'Later steps refer to the result as $name.';
    ELSIF pg_catalog.octet_length(name) > 63 THEN
        RAISE EXCEPTION '%: the name ''%'' is too long', what, name USING ERRCODE = 'DF113',
            DETAIL = 'A name has at most 63 bytes.', HINT = 'Choose a shorter name.';
    ELSIF name IN ('input', 'item', 'error') THEN
        RAISE EXCEPTION '%: the name ''%'' is reserved', what, name USING ERRCODE = 'DF113',
            DETAIL = 'input, item and error have a meaning of their own.', HINT = 'Choose another name.';
    END IF;
    RETURN name;
END $$;

-- The JSON of a group: `kind` is chain, join, parallel or race. A chain inside a chain is flattened.
-- `on_failure`: wait (or NULL) or cancel.
CREATE OR REPLACE FUNCTION df._group(kind text, what text, items text[], on_failure text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    inner_json text;
    ending text := ']}';
BEGIN
    IF items IS NULL OR pg_catalog.cardinality(items) = 0 THEN
        RAISE EXCEPTION '%: there is no step', what USING ERRCODE = 'DF116',
            DETAIL = pg_catalog.format('The array of expressions is %s.', CASE WHEN items IS NULL THEN 'NULL' ELSE 'empty' END), HINT = 'Give at least one expression.';
    ELSIF on_failure <> 'wait' THEN
        ending := '],"on_failure":' || df._word(on_failure, '{wait,cancel}', what || ': on_failure') || '}';
    END IF;
    SELECT pg_catalog.string_agg(
        CASE WHEN kind = 'chain' AND pg_catalog.starts_with(n.body, '{"chain":[')
             THEN pg_catalog.substr(n.body, 11, pg_catalog.length(n.body) - 12) ELSE n.body END, ',' ORDER BY u.number)
        INTO inner_json
    FROM pg_catalog.unnest(items) WITH ORDINALITY AS u(item, number), LATERAL df._node(u.item) AS n(body);
    RETURN df._wire('{"' || kind || '":[' || inner_json || ending);
END $$;

-- Refuses a group that one SQL expression of too many operators has made; `elements` is what stands between its brackets.
-- The operators are counted in the text of the query, outside of its literals: a group of any number of elements may come
-- from df.seq(VARIADIC ...), or from a loop. PostgreSQL's parser gives up at about twice as many (54001), before any function
-- is called.
CREATE OR REPLACE FUNCTION df._check_operators(elements text) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    operators integer;
BEGIN
    IF pg_catalog.json_array_length(('[' || elements || ']')::json) <= df._operators_max() THEN
        RETURN;
    END IF;
    SELECT pg_catalog.count(*) INTO operators
    FROM pg_catalog.regexp_matches(
        pg_catalog.regexp_replace(pg_catalog.current_query(), $re$'(?:[^']|'')*'$re$, '', 'g'), '~>|[|]=>', 'g');
    IF operators > df._operators_max() THEN
        RAISE EXCEPTION 'one SQL expression has % operators, and the limit is %', operators, df._operators_max()
            USING ERRCODE = 'DF514',
            DETAIL = 'PostgreSQL keeps every operator of an expression on its stack, and takes time with the square of their number.',
            HINT = 'Write df.seq(VARIADIC ARRAY[...]) or df.parallel(VARIADIC ARRAY[...]); a file takes chains of any length.';
    END IF;
END $$;

-- The group `a` with one more element, or a new group of `a` and `more`. `opening` is its JSON up to the first
-- element, `more` the JSON of the new one. Extending costs one pass over the text, so that an expression of
-- thousands of operators is built in reasonable time.
CREATE OR REPLACE FUNCTION df._extended(a text, opening text, more text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    head constant text := pg_catalog.left(a, 40);
    counted constant text := pg_catalog.split_part(pg_catalog.substr(head, 9), '*/', 1);
    shell constant integer := 10 + pg_catalog.length(counted) + pg_catalog.length(opening);
    inside text;
    size integer;
BEGIN
    IF pg_catalog.starts_with(head, '/*dfc:1:') AND counted ~ '^[0-9]{1,9}$'
       AND pg_catalog.starts_with(pg_catalog.substr(head, 11 + pg_catalog.length(counted)), opening)
       -- A fan-out with on_failure is a group of its own.
       AND (opening = '{"chain":[' OR pg_catalog.right(a, 2) = ']}') THEN
        inside := pg_catalog.left(pg_catalog.right(a, -shell), counted::integer - pg_catalog.length(opening) - 2);
        IF pg_catalog.octet_length(a) = shell + pg_catalog.octet_length(inside) + 2 THEN
            size := counted::integer + 1 + pg_catalog.length(more);
            -- The shortest element, {"sql":"x"} and its comma, has 12 characters: a shorter text cannot hold too many.
            -- Looked at now and then, as the text grows.
            IF size > 12 * df._operators_max()
               AND pg_catalog.floor(16 * pg_catalog.ln(size)) > pg_catalog.floor(16 * pg_catalog.ln(counted::integer)) THEN
                PERFORM df._check_operators(inside || ',' || more);
            END IF;
            RETURN '/*dfc:1:' || size::text || '*/'
                   || opening || inside || ',' || more || ']}';
        END IF;
    END IF;
    RETURN df._wire(opening || df._node(a) || ',' || more || ']}');
END $$;
