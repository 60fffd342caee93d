-- Gives a worker up to `max` instances: first those whose worker has gone (their fence gets a new token, so
-- that the old worker's steps no longer commit), then new ones by priority (the higher first), then age.
--
-- Only plans of a format in `formats`, only submitters in `roles` (null: all). A fence that a step of the dead
-- worker still holds is skipped and comes the next time. A worker that is no longer registered gets nothing.
-- Locks: in each of the two parts fences or instances FOR NO KEY UPDATE SKIP LOCKED, so nothing is waited for.
CREATE OR REPLACE FUNCTION df._claim(worker bigint, formats integer[], roles name[], max integer)
RETURNS TABLE (instance_id text, token bytea, expression text, expression_hash bytea, plan_hash text,
               submitted_by name, database text, search_path text, time_zone text, cancel_reason text,
               resumed boolean, variables text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    me constant bigint := worker;
    quota integer := max;
    taken integer;
    submitters oid[];
    dead bigint[];
BEGIN
    -- Shared with nobody who matters: keeps another worker from deleting this row until the claim has committed.
    PERFORM FROM df.workers w WHERE w.id = me FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF roles IS NOT NULL THEN
        submitters := ARRAY(SELECT r.oid FROM pg_roles r WHERE r.rolname = ANY (roles));
    END IF;
    dead := df._dead_workers(me);

    RETURN QUERY
    WITH orphans AS (
        SELECT f.instance_id FROM df.fences f JOIN df.instances i ON i.id = f.instance_id
        WHERE (f.worker IS NULL OR f.worker = ANY (dead))
          AND (submitters IS NULL OR f.submitted_by::oid = ANY (submitters))
          AND (i.plan IS NULL OR (i.plan ->> 'format')::integer = ANY (formats))
        ORDER BY f.instance_id LIMIT quota
        FOR NO KEY UPDATE OF f SKIP LOCKED
    ), taken_over AS (
        UPDATE df.fences f SET worker = me, token = df._new_token(), claimed_at = clock_timestamp()
        FROM orphans o WHERE f.instance_id = o.instance_id RETURNING f.instance_id, f.token
    )
    SELECT i.id, t.token, i.expression, i.expression_hash, i.plan_hash, pg_get_userbyid(i.submitted_by),
           i.database, i.search_path, i.time_zone, df._cancel_reason(i.id), true, i.variables::text
    FROM taken_over t JOIN df.instances i ON i.id = t.instance_id;
    GET DIAGNOSTICS taken = ROW_COUNT;
    quota := quota - taken;

    IF cardinality(dead) > 0 THEN
        DELETE FROM df.workers w
        WHERE w.id = ANY (dead) AND NOT EXISTS (SELECT FROM df.fences f WHERE f.worker = w.id);
        PERFORM df._forget_requests();
    END IF;
    IF quota <= 0 THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH waiting AS (
        SELECT i.id FROM df.instances i
        WHERE i.started_at IS NULL
          AND (submitters IS NULL OR i.submitted_by::oid = ANY (submitters))
          AND (i.plan IS NULL OR (i.plan ->> 'format')::integer = ANY (formats))
        ORDER BY i.priority DESC, i.id LIMIT quota
        FOR NO KEY UPDATE SKIP LOCKED
    ), begun AS (
        UPDATE df.instances i
        SET status = 'running', attempt = i.attempt + 1, started_at = clock_timestamp(), updated_at = clock_timestamp()
        FROM waiting w WHERE i.id = w.id
        RETURNING i.id, i.expression, i.expression_hash, i.plan_hash, i.submitted_by, i.database, i.search_path, i.time_zone, i.variables
    ), fenced AS (
        INSERT INTO df.fences AS f (instance_id, submitted_by, worker, token)
        SELECT b.id, b.submitted_by, me, df._new_token() FROM begun b
        RETURNING f.instance_id, f.token
    )
    SELECT b.id, f.token, b.expression, b.expression_hash, b.plan_hash, pg_get_userbyid(b.submitted_by),
           b.database, b.search_path, b.time_zone, df._cancel_reason(b.id), false, b.variables::text
    FROM begun b JOIN fenced f ON f.instance_id = b.id;
END $$;
