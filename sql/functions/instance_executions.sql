-- The executions of an instance, the newest first: one, or the rounds of a workflow that is one loop. Of rounds that are
-- over nothing but their number is kept: they have no events, no duration and no output. event_count: what is recorded
-- of the instance. The words of status are pg_durable's: Running, Completed, Failed (also cancelled, compensated),
-- ContinuedAsNew. A limit above 10,000 counts as that. Raises 22023 for one below 1. Locks: none.
CREATE OR REPLACE FUNCTION df.instance_executions(instance_id text, limit_count integer DEFAULT 5)
RETURNS TABLE (execution_id bigint, status text, event_count bigint, duration_ms bigint, output text)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    most constant bigint := LEAST(limit_count, 10000);
BEGIN
    IF $1 IS NULL OR $2 IS NULL THEN
        RETURN;
    ELSIF $2 < 1 THEN
        RAISE EXCEPTION 'limit_count must be at least 1' USING ERRCODE = '22023',
            DETAIL = pg_catalog.format('It is %s.', $2), HINT = 'Give a number from 1 to 10000.';
    END IF;
    RETURN QUERY
    SELECT e.n,
           CASE WHEN e.n < last.n THEN 'ContinuedAsNew' WHEN i.completed_at IS NULL THEN 'Running'
                WHEN i.status = 'completed' THEN 'Completed' ELSE 'Failed' END,
           CASE WHEN e.n < last.n THEN 0
                ELSE (SELECT pg_catalog.count(*) FROM df.checkpoints c WHERE c.instance_id = i.id)
                     + (SELECT pg_catalog.count(*) FROM df.marks k WHERE k.instance_id = i.id) END,
           CASE WHEN e.n = last.n THEN (extract(epoch FROM
                coalesce(i.completed_at, pg_catalog.clock_timestamp()) - coalesce(i.started_at, i.created_at)) * 1000)::bigint END,
           CASE WHEN e.n = last.n THEN df._output(i.result, i.error) END
    FROM df.instances i
    CROSS JOIN LATERAL (SELECT df._execution_of(i.id, i.expression, i.plan)) AS last(n)
    CROSS JOIN LATERAL pg_catalog.generate_series(last.n, GREATEST(last.n - most + 1, 1), -1) AS e(n)
    WHERE i.id = $1
    ORDER BY e.n DESC;
END $$;
