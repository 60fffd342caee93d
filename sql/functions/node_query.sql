-- [months,days,microseconds] as a number of seconds; a month has 30 days. Locks: none.
CREATE OR REPLACE FUNCTION df._seconds_text(length jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE pg_catalog.jsonb_typeof(length) WHEN 'array' THEN pg_catalog.trim_scale(
        ((length ->> 0)::numeric * 30 + (length ->> 1)::numeric) * 86400 + (length ->> 2)::numeric * 0.000001)::text END
$$;

-- What a node does, as pg_durable writes it: the text of a statement, seconds, or an object. Locks: none.
CREATE OR REPLACE FUNCTION df._node_query(kind text, n jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 'value' THEN '$' || (n #>> '{parameter,name}') || coalesce('.' || (n #>> '{parameter,column}'), '')
        WHEN 'break' THEN pg_catalog.jsonb_build_object(
            'break_value', coalesce(n #>> '{value,sql}', df._as_jsonb(n ->> 'value') #>> '{}'))::text
        WHEN 'constant' THEN n ->> 'value'
        WHEN 'sleep' THEN coalesce(n #>> '{duration,sql}', df._seconds_text(n -> 'duration'))
        WHEN 'wait_until' THEN coalesce(n #>> '{at,sql}', n ->> 'at')
        WHEN 'wait_schedule' THEN pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
            'cron_expr', n -> 'cron', 'time_zone', n -> 'time_zone'))::text
        WHEN 'signal' THEN pg_catalog.jsonb_build_object(
            'signal_name', n -> 'name', 'timeout_seconds', df._seconds_text(n -> 'timeout')::jsonb)::text
        WHEN 'call' THEN pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
            'workflow', n -> 'workflow', 'input', coalesce(n #> '{input,sql}', df._as_jsonb(n ->> 'input'))))::text
        WHEN 'wait_instance' THEN pg_catalog.jsonb_build_object(
            'instance_id', coalesce(n #> '{instance,sql}', n -> 'instance'), 'timeout_seconds', df._seconds_text(n -> 'timeout')::jsonb)::text
        WHEN 'timeout' THEN pg_catalog.jsonb_build_object('timeout_seconds', df._seconds_text(n -> 'duration')::jsonb)::text
        WHEN 'loop' THEN pg_catalog.jsonb_build_object('every_seconds', df._seconds_text(n -> 'every')::jsonb)::text
        WHEN 'map' THEN coalesce(n #>> '{items,sql}', '$' || (n #>> '{items,name}'))
        WHEN 'http' THEN coalesce(n #>> '{request,sql}', ('{"body": null}' || (n -> 'request') || pg_catalog.jsonb_build_object('headers', (
            SELECT pg_catalog.jsonb_object_agg(h.pair ->> 0, h.pair -> 1)
            FROM pg_catalog.jsonb_array_elements(n #> '{request,headers}') AS h(pair))))::text)
        ELSE n #>> '{body,sql}' END
$$;
