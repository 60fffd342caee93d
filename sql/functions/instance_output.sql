-- What has come of an instance as one text: compact JSON of a result, the message of an error. NULL: not ended.
-- Locks: none.

-- JSON without blanks outside of its strings. Where there is an even number of quotation marks in front, it is outside; escaped ones
-- and backslashes become control characters meanwhile, which no JSON has. (A regular expression takes several times as long.)
CREATE OR REPLACE FUNCTION df._compact(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.replace(pg_catalog.replace(pg_catalog.string_agg(
        CASE WHEN p.place % 2 = 1 THEN pg_catalog.translate(p.part, E' \t\n\r', '') ELSE p.part END, '"' ORDER BY p.place),
        E'\x02', '\"'), E'\x01', '\\')
    FROM pg_catalog.string_to_table(pg_catalog.replace(pg_catalog.replace(value, '\\', E'\x01'), '\"', E'\x02'), '"')
        WITH ORDINALITY AS p(part, place)
$$;

CREATE OR REPLACE FUNCTION df._output(result json, error json) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN result IS NOT NULL THEN df._compact(result::text) ELSE error ->> 'message' END
$$;

-- The execution that an instance is in: of a workflow that is one loop, the number of its round (pg_durable begins
-- each as an execution of its own); 1 of any other. The rounds are read from the paths of what is recorded, and from the
-- loop's position: records of earlier rounds may have been forgotten.
CREATE OR REPLACE FUNCTION df._execution_of(instance text, expression text, plan jsonb) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    loop_id text;
    found bigint;
BEGIN
    IF pg_catalog.substr(expression, 1, 300) ~ '^/\*dfc:1:\d+\*/[{]"params":' THEN
        -- What stands behind the declared inputs is looked for in the plan.
        IF (pg_catalog.jsonb_array_length(plan -> 'nodes') = 1 AND plan #>> '{nodes,0,kind}' = 'loop'
            AND NOT plan #> '{nodes,0}' ? 'every') IS NOT TRUE THEN
            RETURN 1;
        END IF;
    ELSIF pg_catalog.substr(expression, 1, 300) !~ '^/\*dfc:1:\d+\*/([{]"(step|as)":"\w+","body":)*[{]"loop":' THEN
        RETURN 1;
    END IF;
    loop_id := plan #>> '{nodes,-1,id}';
    SELECT pg_catalog.max(r.round) INTO found
    FROM (SELECT k.round FROM df.marks k WHERE k.instance_id = instance AND k.path = loop_id || '/round'
          UNION ALL
          SELECT pg_catalog.split_part(pg_catalog.substr(c.path, pg_catalog.length(loop_id) + 2), ']', 1)::bigint
          FROM df.checkpoints c
          WHERE c.instance_id = instance AND c.path > loop_id || '[' AND c.path < loop_id || '\') AS r;
    RETURN GREATEST(found, 1);
END $$;

-- What runs every workflow, by the name that pg_durable shows.
CREATE OR REPLACE FUNCTION df._function_name() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'pg_durable::orchestration::execute-function-graph'::text $$;
