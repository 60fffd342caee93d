-- The drawing of an expression: one line a node, a chain as lines that begin with an arrow, parts below a line of their own.
-- compiler/drawing.py draws the same from the tree, character by character. Locks: none.

-- A text in one line: line breaks and tabs with the blanks around them are one blank; cut at `most` characters.
CREATE OR REPLACE FUNCTION df._drawn_short(value text, most integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN pg_catalog.length(s.line) > most OR pg_catalog.length(value) > 1000
                THEN pg_catalog.left(s.line, most - 3) || '...' ELSE s.line END
    FROM (SELECT pg_catalog.btrim(pg_catalog.regexp_replace(
              pg_catalog.left(value, 1000), '[ \t\n\v\f\r]*[\t\n\v\f\r][ \t\n\v\f\r]*', ' ', 'g'), ' ')) AS s(line)
$$;

-- The kind of a node: the first of its keys. NULL: it is none.
CREATE OR REPLACE FUNCTION df._drawn_kind(n json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT pg_catalog.substring(pg_catalog.left(n::text, 40), '^[{]"([a-z_]+)":') $$;

-- How a node stands, in one character.
CREATE OR REPLACE FUNCTION df._drawn_mark(status text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE status WHEN 'completed' THEN ' ✓' WHEN 'failed' THEN ' ✗' WHEN 'running' THEN ' ⏳' WHEN 'pending' THEN ' ○'
                       ELSE ' ⊘' END
$$;

-- Lines, each filled up with blanks to the longest and four more.
CREATE OR REPLACE FUNCTION df._drawn_padded(lines text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.string_agg(pg_catalog.rpad(l.line, w.width + 4), E'\n' ORDER BY l.place)
    FROM pg_catalog.string_to_table(lines, E'\n') WITH ORDINALITY AS l(line, place),
         (SELECT pg_catalog.max(pg_catalog.length(l.line)) FROM pg_catalog.string_to_table(lines, E'\n') AS l(line)) AS w(width)
$$;

-- [months,days,microseconds] as `1 mon 2 days 90s`.
CREATE OR REPLACE FUNCTION df._drawn_duration(d json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN d IS NOT NULL THEN pg_catalog.concat_ws(' ',
        CASE WHEN p.months <> 0 THEN p.months || ' mon' || CASE WHEN pg_catalog.abs(p.months) = 1 THEN '' ELSE 's' END END,
        CASE WHEN p.days <> 0 THEN p.days || ' day' || CASE WHEN pg_catalog.abs(p.days) = 1 THEN '' ELSE 's' END END,
        CASE WHEN p.micros <> 0 OR (p.months = 0 AND p.days = 0) THEN pg_catalog.trim_scale(p.micros * 0.000001) || 's' END) END
    FROM (SELECT (d ->> 0)::numeric AS months, (d ->> 1)::numeric AS days, (d ->> 2)::numeric AS micros) AS p
$$;

-- What of policies changes what people see of a step, each with a comma in front.
CREATE OR REPLACE FUNCTION df._drawn_policy(policy json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(pg_catalog.string_agg(', ' || s.said, '' ORDER BY s.n), '')
    FROM (VALUES
        (1, CASE policy ->> 'max_attempts' WHEN '1' THEN '1 attempt' ELSE (policy ->> 'max_attempts') || ' attempts' END),
        (2, 'at most ' || df._drawn_duration(policy -> 'timeout')),
        (3, df._drawn_short(policy ->> 'rate_limit', 40)),
        (4, CASE policy ->> 'delivery' WHEN 'at_most_once' THEN 'at most once' END),
        (5, 'in ' || df._drawn_short(policy ->> 'database', 40)),
        (6, CASE policy ->> 'autocommit' WHEN 'true' THEN 'autocommit' END),
        (7, df._drawn_short(policy ->> 'isolation', 40)),
        (8, CASE policy ->> 'on_error' WHEN 'continue' THEN 'goes on after an error' END)) AS s(n, said)
    WHERE s.said IS NOT NULL
$$;

-- A node in one line, without the names of its result: kind, name of the step, the beginning of what it does. `policies` are
-- those of the step around it. NULL: no df function makes such a node.
CREATE OR REPLACE FUNCTION df._drawn_node(kind text, n json, name text, policies text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    said text := policies || CASE WHEN n -> 'policy' IS NULL THEN '' ELSE df._drawn_policy(n -> 'policy') END;
    word text;
    what text;
BEGIN
    CASE kind
        WHEN 'sql' THEN word := 'SQL'; what := df._drawn_short(n ->> 'sql', 50);
        WHEN 'http', 'multipart' THEN
            word := CASE kind WHEN 'http' THEN 'HTTP' ELSE 'HTTP_MULTIPART' END;
            what := (n -> kind ->> 'method') || ' ' || df._drawn_short(n -> kind ->> 'url', 40);
        WHEN 'chain' THEN word := 'STEP';
        WHEN 'join', 'parallel' THEN
            word := pg_catalog.upper(kind);
            said := ', ' || pg_catalog.json_array_length(n -> kind)
                    || CASE WHEN n ->> 'on_failure' = 'cancel' THEN ', cancels at the first failure' ELSE '' END;
        WHEN 'race' THEN
            word := 'RACE';
            SELECT CASE WHEN pg_catalog.count(*) = 2 THEN '' ELSE ', ' || pg_catalog.count(*) END INTO said FROM df._drawn_arms(n);
        WHEN 'if', 'if_rows' THEN word := 'IF';
        WHEN 'rows' THEN word := 'ROWS'; what := '$' || (n ->> 'rows');
        WHEN 'loop' THEN
            word := 'LOOP';
            said := CASE WHEN n -> 'while' IS NULL THEN ', infinite' ELSE ', while' END
                    || CASE WHEN n -> 'compensate' IS NULL THEN '' ELSE ', keeps its undos' END;
        WHEN 'break' THEN word := 'BREAK'; what := '''' || df._drawn_short(n ->> 'break', 20) || '''';
        WHEN 'map' THEN
            word := 'MAP';
            what := '$' || (n ->> 'name') || ' of ' || df._drawn_short(n #>> '{map,sql}', 50);
            said := CASE n ->> 'max_parallel' WHEN '16' THEN '' ELSE ', ' || (n ->> 'max_parallel') || ' at a time' END
                    || CASE n ->> 'batch_size' WHEN '1' THEN '' ELSE ', ' || (n ->> 'batch_size') || ' rows each' END
                    || CASE n ->> 'on_error' WHEN 'continue' THEN ', goes on after an error' ELSE '' END;
        WHEN 'atomic', 'retry', 'try', 'compensate' THEN word := pg_catalog.upper(kind);
        WHEN 'timeout' THEN word := 'TIMEOUT'; what := df._drawn_duration(n -> 'duration');
        WHEN 'sleep' THEN
            word := 'SLEEP';
            what := CASE pg_catalog.json_typeof(n -> 'sleep') WHEN 'array' THEN df._drawn_duration(n -> 'sleep')
                         ELSE '''' || df._drawn_short(n ->> 'sleep', 40) || '''' END;
        WHEN 'wait_until' THEN word := 'WAIT_UNTIL'; what := '''' || df._drawn_short(n ->> 'wait_until', 40) || '''';
        WHEN 'wait_for_schedule' THEN
            word := 'WAIT'; what := '''' || df._drawn_short(n ->> 'wait_for_schedule', 40) || '''';
            said := coalesce(', ' || df._drawn_short(n ->> 'time_zone', 40), '');
        WHEN 'wait_for_signal' THEN
            word := 'SIGNAL'; what := '''' || df._drawn_short(n ->> 'wait_for_signal', 40) || '''';
            said := coalesce(', ' || df._drawn_duration(n -> 'timeout'), '');
        WHEN 'wait_for' THEN
            word := 'WAIT_FOR';
            said := ', every ' || df._drawn_duration(n -> 'every') || coalesce(', at most ' || df._drawn_duration(n -> 'timeout'), '');
        WHEN 'call' THEN
            word := 'CALL';
            what := '''' || df._drawn_short(n ->> 'call', 40) || '''' || coalesce(' ' || df._drawn_short((n -> 'input')::text, 40), '');
        WHEN 'wait_for_instance' THEN
            word := 'WAIT_INSTANCE'; what := '''' || df._drawn_short(n ->> 'wait_for_instance', 40) || '''';
            said := coalesce(', ' || df._drawn_duration(n -> 'timeout'), '');
        ELSE NULL;
    END CASE;
    RETURN word || coalesce(' ' || name, '')
           || CASE WHEN what IS NULL OR what = '' THEN '' WHEN kind = 'sql' OR name IS NOT NULL THEN ': ' || what ELSE ' ' || what END
           || CASE WHEN said = '' THEN '' ELSE ' (' || pg_catalog.substr(said, 3) || ')' END;
END $$;

-- The arms of a race, with those of races that are an arm themselves: they are one race.
CREATE OR REPLACE FUNCTION df._drawn_arms(race json) RETURNS SETOF json
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    WITH RECURSIVE arm (at, n) AS (
        SELECT ARRAY[e.place], e.n FROM pg_catalog.json_array_elements(race -> 'race') WITH ORDINALITY AS e(n, place)
        UNION ALL
        SELECT arm.at || e.place, e.n
        FROM arm
        CROSS JOIN LATERAL pg_catalog.json_array_elements(
            CASE WHEN pg_catalog.starts_with(arm.n::text, '{"race":') THEN arm.n -> 'race' END) WITH ORDINALITY AS e(n, place)
    )
    SELECT arm.n FROM arm WHERE NOT pg_catalog.starts_with(arm.n::text, '{"race":') ORDER BY arm.at
$$;

-- The parts of a node in written order, each with the line that stands above it. `more`: another arm of its group comes.
CREATE OR REPLACE FUNCTION df._drawn_parts(kind text, n json) RETURNS TABLE (place bigint, label text, part json, more boolean)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF kind IN ('join', 'parallel', 'race') THEN
        RETURN QUERY
        SELECT a.place, '║ branch ' || a.place || ':', a.n, a.place < pg_catalog.count(*) OVER ()
        FROM (SELECT e.place, e.n FROM pg_catalog.json_array_elements(CASE WHEN kind <> 'race' THEN n -> kind END)
                  WITH ORDINALITY AS e(n, place)
              UNION ALL
              SELECT e.place, e.n FROM df._drawn_arms(CASE WHEN kind = 'race' THEN n END) WITH ORDINALITY AS e(n, place)) AS a;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT p.place, p.label, p.part, false
    FROM (VALUES
        (1::bigint, CASE kind WHEN 'if' THEN '? condition:' WHEN 'loop' THEN '↻ body:' WHEN 'wait_for' THEN '? until:'
                              WHEN 'retry' THEN '↻ body:' WHEN 'map' THEN NULL ELSE '▸ body:' END,
         CASE WHEN kind IN ('if', 'loop', 'wait_for', 'atomic', 'retry', 'timeout', 'try', 'compensate') THEN n -> kind
              WHEN kind = 'chain' THEN n END),
        (2, '? condition:', CASE kind WHEN 'if_rows' THEN ('{"rows":' || (n -> 'if_rows')::text || '}')::json END),
        (3, '↻ body:', CASE kind WHEN 'map' THEN n -> 'body' END),
        (4, '✓ then:', CASE WHEN kind IN ('if', 'if_rows') THEN n -> 'then' END),
        (5, '✗ else:', CASE WHEN kind IN ('if', 'if_rows', 'timeout') THEN n -> 'else' END),
        (6, '? while:', CASE kind WHEN 'loop' THEN n -> 'while' END),
        (7, '✗ catch:', CASE kind WHEN 'try' THEN n -> 'catch' END),
        (8, '▸ finally:', CASE kind WHEN 'try' THEN n -> 'finally' END),
        (9, '↩ undo:', CASE kind WHEN 'compensate' THEN n -> 'undo' END)) AS p(place, label, part)
    WHERE p.part IS NOT NULL;
END $$;
