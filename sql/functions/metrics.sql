-- Counts over all instances of everybody: for the schema's owner and for whom df.grant_usage(role, with_grant => true)
-- names. Counted through the indexes of what is pending and of what has failed, and the fences of what runs; completed is the rest.
-- running_instances: pending ones too. failed_instances: also those cancelled and compensated. total_executions:
-- one an instance, and the rounds that outermost loops have gone on by. total_events: records ever written,
-- also of instances that have been deleted. Locks: none.
CREATE OR REPLACE FUNCTION df.metrics()
RETURNS TABLE (total_instances bigint, running_instances bigint, completed_instances bigint, failed_instances bigint,
               total_executions bigint, total_events bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT every.n, going.n, every.n - going.n - failed.n, failed.n, every.n + rounds.n, journal.n
    FROM (SELECT count(*) AS n FROM df.instances) AS every,
         (SELECT (SELECT count(*) FROM df.instances i WHERE i.started_at IS NULL AND i.ready AND NOT i.paused AND i.concurrency_key IS NULL)
                 + (SELECT count(*) FROM df.instances i WHERE i.started_at IS NULL AND i.ready AND NOT i.paused AND i.concurrency_key IS NOT NULL)
                 + (SELECT count(*) FROM df.instances i WHERE i.started_at IS NULL AND NOT i.ready)
                 + (SELECT count(*) FROM df.instances i WHERE i.started_at IS NULL AND i.ready AND i.paused)
                 + (SELECT count(*) FROM df.fences) AS n) AS going,
         (SELECT count(*) AS n FROM df.instances i WHERE i.error IS NOT NULL) AS failed,
         (SELECT coalesce(sum(k.round - 1), 0)::bigint AS n FROM df.marks k
          WHERE k.kind = 'position' AND k.error IS NULL AND strpos(k.path, '[') = 0) AS rounds,
         (SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END AS n FROM df.journal s) AS journal
$$;
