-- The graph of a workflow as text. The input is
--   an instance's id, or at least its first 8 characters where no other one begins so: drawn with how each node stands
--   what df functions and operators return
--   the text of a workflow, as in df.explain($$ 'SELECT 1' ~> 'SELECT 2' $$): evaluated with the caller's rights, and whatever it
--     has done is taken back (also a df.start, whose workflow is drawn)
--   the name of a defined workflow
--   one SQL statement
-- It raises nothing: what cannot be drawn is answered with a text that says why. NULL gives NULL. Locks: none.
CREATE OR REPLACE FUNCTION df.explain(input text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    given constant text := pg_catalog.btrim(input, E' \t\n\r\f\v');
    script text;
    keyword text;
    defined text;
BEGIN
    IF input IS NULL THEN
        RETURN NULL;
    ELSIF given ~ '^[0-9a-f]{8}[0-9a-f-]{0,28}$' THEN
        RETURN df._explain_instance(given);
    ELSIF pg_catalog.strpos(pg_catalog.left(input, 8), '/*dfc:1:') = 1 THEN
        RETURN df._explain_expression(input);
    END IF;
    IF df._is_identifier(given) THEN
        SELECT d.expression INTO defined FROM df.definitions d
        WHERE d.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole AND d.name = given ORDER BY d.id DESC LIMIT 1;
        IF defined IS NOT NULL THEN
            RETURN df._explain_expression(defined);
        END IF;
    END IF;
    script := pg_catalog.regexp_replace(given, '^select\s+(?=df\.(start|define)\s*\()', '', 'i');
    script := pg_catalog.regexp_replace(script, '\s*;$', '');
    keyword := pg_catalog.lower(pg_catalog.substring(script, '^[A-Za-z]+(?![A-Za-z0-9_.])'));
    IF keyword IN (
        'select', 'insert', 'update', 'delete', 'merge', 'with', 'values', 'table', 'call', 'do', 'create', 'alter', 'drop', 'truncate',
        'vacuum', 'analyze', 'reindex', 'cluster', 'refresh', 'copy', 'grant', 'revoke', 'comment', 'set', 'reset', 'show', 'explain',
        'notify', 'lock', 'checkpoint', 'prepare', 'execute', 'deallocate', 'import', 'security', 'reassign', 'discard', 'load', 'listen',
        'unlisten', 'declare', 'fetch', 'move', 'close')
    THEN
        RETURN df._explain_expression(df.sql(input));
    ELSIF script ~ '~>|[|]=>|[?]>|!>|@>|df[.]' OR script ~ '^[(]*\s*[eE]?''.*''\s*[)]*$' THEN
        RETURN df._explain_text(script);
    END IF;
    RETURN E'Cannot explain input: not an expression, instance id, SQL statement, name or text of a workflow.\n'
           'Hint: Workflows are written with df.* functions and the operators ~>, |=>, &, |, ?>, !>, @>.';
END $$;

CREATE OR REPLACE FUNCTION df._explain_expression(wire text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    lines text[];
BEGIN
    SELECT pg_catalog.array_agg(d.line ORDER BY d.place) INTO lines FROM df._draw(df._node(wire)::json, NULL, NULL, NULL) AS d;
    IF pg_catalog.cardinality(lines) > 0 AND pg_catalog.array_position(lines, NULL) IS NULL THEN
        RETURN df._drawn_padded(pg_catalog.array_to_string(lines, E'\n'));
    END IF;
    RETURN 'Cannot explain input: it has a node that no df function makes, or more than ' || df._nesting_levels_max() || ' levels.';
EXCEPTION WHEN data_exception OR statement_too_complex OR SQLSTATE 'DF115' THEN
    RETURN 'Cannot explain input: ' || SQLERRM;
END $$;

-- The text is carried out to get what it gives, in a subtransaction that is rolled back in any case.
CREATE OR REPLACE FUNCTION df._explain_text(script text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    wire text;
    said text;
    evaluated boolean := false;
BEGIN
    BEGIN
        EXECUTE 'SELECT (' || script || E'\n)::text' INTO wire;
        SELECT coalesce((SELECT i.expression FROM df.instances i WHERE i.id = wire),
                        (SELECT d.expression FROM df.definitions d
                         WHERE pg_catalog.format('%s version %s', d.name, d.version) = wire ORDER BY d.id DESC LIMIT 1), wire) INTO wire;
        evaluated := true;
        RAISE EXCEPTION USING ERRCODE = 'DX009', MESSAGE = 'taken back';
    EXCEPTION WHEN OTHERS THEN
        IF NOT evaluated THEN
            GET STACKED DIAGNOSTICS said = PG_EXCEPTION_HINT;
            RETURN 'Failed to evaluate expression: ' || SQLERRM || coalesce(E'\nHint: ' || nullif(said, ''), '');
        END IF;
    END;
    IF wire IS NULL THEN
        RETURN 'Expression returned NULL';
    ELSIF pg_catalog.starts_with(wire, '/*dfc:1:') THEN
        RETURN df._explain_expression(wire);
    END IF;
    RETURN df._explain_expression(df._wire('{"sql":' || pg_catalog.to_json(wire)::text || '}'));
END $$;

-- An instance: its id and label, how it stands, the beginning of its outcome, and its drawing with a mark behind each node.
CREATE OR REPLACE FUNCTION df._explain_instance(given text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    i record;
    outcome text;
    lines text;
    others bigint;
BEGIN
    SELECT x.id, x.label, x.expression, x.plan, x.status, x.result, x.error, df.status(x.id) AS said, pg_catalog.count(*) OVER () AS n
        INTO i
    FROM df.instances x
    WHERE x.id >= given AND x.id < given || '~' AND pg_catalog.starts_with(x.id, given)
    ORDER BY x.id LIMIT 1;
    IF NOT FOUND THEN
        RETURN pg_catalog.format('Instance ''%s'' not found', given);
    ELSIF i.n > 1 AND i.id <> given THEN
        RETURN pg_catalog.format('Instance ''%s'' not found: %s ids begin so', given, i.n);
    END IF;
    outcome := df._drawn_short(df._output(i.result, i.error), 60);
    SELECT pg_catalog.string_agg(d.line, E'\n' ORDER BY d.place) INTO lines
    FROM df._draw(df._node(i.expression)::json, i.id, i.plan, i.status) AS d;
    RETURN df._drawn_padded(pg_catalog.concat(
        'Instance: ', i.id, ' (' || i.label || ')', E'\n',
        'Status:   ', CASE WHEN i.said = 'completed' THEN '✓' WHEN i.said = 'running' THEN '⏳'
                           WHEN i.said IN ('failed', 'cancelled', 'compensated') THEN '✗' ELSE '○' END,
        ' ', pg_catalog.initcap(i.said), E'\n',
        'Output:   ' || outcome || E'\n', E'\n', lines));
END $$;
