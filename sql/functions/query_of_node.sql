-- JSON as jsonb, or as a JSON string where jsonb cannot hold it. Locks: none.
CREATE OR REPLACE FUNCTION df._as_jsonb(value text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN value::jsonb;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN pg_catalog.to_jsonb(value);
END $$;

-- A duration of a plan in seconds, a month as 30 days; NULL for NULL. Locks: none.
CREATE OR REPLACE FUNCTION df._plan_seconds(duration jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.trim_scale(
        ((duration ->> 0)::numeric * 30 + (duration ->> 1)::numeric) * 86400 + (duration ->> 2)::numeric / 1000000)
$$;

-- What a node does, as pg_durable shows it; NULL where only its parts say that. `n` is the node in the plan, without
-- its parts. Locks: none.
CREATE OR REPLACE FUNCTION df._query_of_node(kind text, n jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE kind
        WHEN 'value' THEN '$' || (n #>> '{parameter,name}') || coalesce('.' || (n #>> '{parameter,column}'), '')
        WHEN 'break' THEN pg_catalog.jsonb_build_object('break_value',
            coalesce(n #>> '{value,sql}', df._as_jsonb(n ->> 'value') #>> '{}'))::text
        WHEN 'sleep' THEN coalesce(n #>> '{duration,sql}', df._plan_seconds(n -> 'duration')::text)
        WHEN 'wait_until' THEN coalesce(n #>> '{at,sql}', n ->> 'at')
        WHEN 'wait_schedule' THEN pg_catalog.jsonb_strip_nulls(
            pg_catalog.jsonb_build_object('cron_expr', n -> 'cron', 'time_zone', n -> 'time_zone'))::text
        WHEN 'signal' THEN pg_catalog.jsonb_build_object(
            'signal_name', n -> 'name', 'timeout_seconds', df._plan_seconds(n -> 'timeout'))::text
        WHEN 'http' THEN coalesce(n #>> '{request,sql}', ('{"body": null, "headers": null}'::jsonb || (n -> 'request'))::text)
        WHEN 'call' THEN n ->> 'workflow'
        WHEN 'wait_instance' THEN coalesce(n #>> '{instance,sql}', n ->> 'instance')
        ELSE coalesce(n #>> '{body,sql}', n #>> '{items,sql}', '$' || (n #>> '{items,name}'))
    END
$$;
