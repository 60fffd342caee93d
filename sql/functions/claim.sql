-- Whether an instance is in one of these queues (null: any), and its plan has one of these formats, or it has none yet and
-- may be compiled here (0 among the formats: not).
-- A lookup for one instance: as a join, it is planned as if there were many. Locks: none. Called from functions that
-- pin search_path.
CREATE OR REPLACE FUNCTION df._is_readable(instance text, formats integer[], queues text[]) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT CASE WHEN i.plan IS NULL THEN (0 = ANY (formats)) IS NOT TRUE
                                 ELSE ((i.plan ->> 'format')::integer = ANY (formats)) IS NOT FALSE END
                            AND (queues IS NULL OR i.queue = ANY (queues))
                     FROM df.instances i WHERE i.id = instance), true)
$$;

-- Gives a worker up to `max` instances: first those whose worker has gone, then the parked ones for which a request
-- has come that nobody knew of, or news that they listen for, then those whose time has come, the longest due first;
-- then new ones (df._choose). A fence that is taken over gets a new token, so that the old worker's steps no longer commit.
--
-- Only plans of a format in `formats`, only submitters in `roles` (null: all), only queues that the worker has said it
-- serves. A worker that is no longer registered gets nothing. What has no plan is not for a worker whose compiler is older
-- than another one's here: it may be written in what that one does not know. A fence that a step of the dead worker still
-- holds is skipped and comes the next time. What is paused is taken for nothing but a cancel request: it is parked for
-- ever, or not looked at (df._carry_out).
-- `deaths` is how many workers have died in a row with the instance in their hands, without a checkpoint in between.
-- What is parked and not due is not read: the index on wake_at begins with what is due. The plans are generic, since
-- an idle worker looks again and again, and to plan it anew costs ten times as much as to do it.
-- Locks: fences FOR NO KEY UPDATE SKIP LOCKED, then the rows of instances that were parked; then those of df._promote
-- and df._choose, SKIP LOCKED. So nothing is waited for.
CREATE OR REPLACE FUNCTION df._claim(worker bigint, formats integer[], roles name[], max integer)
RETURNS TABLE (instance_id text, token bytea, expression text, expression_hash bytea, plan_hash text,
               submitted_by name, database text, search_path text, time_zone text, cancel_reason text,
               resumed boolean, input text, variables text, timeout_seconds double precision, retrying boolean,
               recorded boolean, deaths integer)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    me constant bigint := worker;
    quota integer := max;
    taken integer;
    submitters oid[];
    dead bigint[];
    served text[] COLLATE "default";
    -- roles brings its type's collation, C, to what is declared here; the index on ids has another.
    cancelled text[] COLLATE "default";
    woken text[] COLLATE "default";
    free text[] COLLATE "default";
    changed boolean;
    outdated boolean;
    retries boolean;
    anew boolean;
    first bigint;
    due_from timestamptz;
    now constant timestamptz := clock_timestamp();
BEGIN
    -- Shared with nobody who matters: keeps another worker from deleting this row until the claim has committed.
    SELECT w.queues, w.compiler_version < m.compiler_version INTO served, outdated
    FROM df.workers w, df.meta m WHERE w.id = me FOR KEY SHARE OF w;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF outdated THEN
        formats := formats || 0;
    END IF;
    IF roles IS NOT NULL THEN
        submitters := ARRAY(SELECT r.oid FROM pg_roles r WHERE r.rolname = ANY (roles));
    END IF;
    dead := df._dead_workers(me);
    first := df._requests_from();
    SELECT coalesce(array_agg(DISTINCT r.instance_id) FILTER (WHERE r.kind = 'cancel'), '{}'),
           coalesce(array_agg(DISTINCT r.instance_id) FILTER (WHERE r.kind = 'wake'), '{}'),
           coalesce(bool_or(r.kind IN ('pause', 'resume')), false), coalesce(bool_or(r.kind = 'retry'), false)
        INTO cancelled, woken, changed, retries FROM df.requests r WHERE r.id >= first;
    anew := changed OR retries;
    IF changed THEN
        PERFORM df._carry_out(dead, now);
    END IF;
    IF retries THEN
        PERFORM df._take_up_retries();
    END IF;

    due_from := df._due_from(now);
    free := ARRAY(SELECT u.instance_id FROM (
        SELECT * FROM (
            SELECT f.instance_id FROM df.fences f
            WHERE cardinality(dead) > 0 AND f.wake_at IS NULL AND f.worker = ANY (dead)
              AND (submitters IS NULL OR f.submitted_by::oid = ANY (submitters))
              AND df._is_readable(f.instance_id, formats, served)
            LIMIT quota
            FOR NO KEY UPDATE OF f SKIP LOCKED) AS orphans
        UNION ALL SELECT * FROM (
            SELECT f.instance_id FROM df.fences f
            WHERE f.wake_at IS NULL AND f.worker IS NULL
              AND (submitters IS NULL OR f.submitted_by::oid = ANY (submitters))
              AND df._is_readable(f.instance_id, formats, served)
            LIMIT quota
            FOR NO KEY UPDATE OF f SKIP LOCKED) AS handed_over
        UNION ALL SELECT * FROM (
            SELECT f.instance_id FROM df.fences f
            WHERE cardinality(cancelled || woken) > 0 AND f.instance_id = ANY (cancelled || woken) AND f.wake_at > now
              AND (NOT f.cancel_known AND f.instance_id = ANY (cancelled) OR f.listens AND f.instance_id = ANY (woken))
              AND (submitters IS NULL OR f.submitted_by::oid = ANY (submitters))
              AND df._is_readable(f.instance_id, formats, served)
            LIMIT quota
            FOR NO KEY UPDATE OF f SKIP LOCKED) AS called
        UNION ALL SELECT * FROM (
            SELECT f.instance_id FROM df.fences f
            WHERE f.wake_at BETWEEN due_from AND now
              AND (submitters IS NULL OR f.submitted_by::oid = ANY (submitters))
              AND df._is_readable(f.instance_id, formats, served)
            ORDER BY f.wake_at LIMIT quota
            FOR NO KEY UPDATE OF f SKIP LOCKED) AS due
        ) AS u LIMIT quota);
    IF changed THEN
        -- What could not be carried out, because somebody was at work on it.
        free := ARRAY(SELECT u.id FROM unnest(free) AS u(id) WHERE NOT df._is_paused(u.id, false));
    END IF;
    taken := cardinality(free);
    IF taken > 0 THEN
        RETURN QUERY
        WITH taken_over AS (
            UPDATE df.fences f SET worker = me, token = df._new_token(), claimed_at = now, wake_at = NULL, cancel_known = false,
                                    listens = false,
                                    (deaths, recorded_to) = (
                                        SELECT CASE WHEN NOT coalesce(f.wake_at IS NULL AND f.worker = ANY (dead), false) THEN 0
                                                    WHEN max(c.journal) IS NOT DISTINCT FROM f.recorded_to THEN f.deaths + 1
                                                    ELSE 1 END, max(c.journal)
                                        FROM df.checkpoints c WHERE c.instance_id = f.instance_id)
            WHERE f.instance_id = ANY (free) RETURNING f.instance_id, f.token, f.deaths
        ), awake AS (
            UPDATE df.instances i
            SET next_attempt_at = NULL, waiting_for = NULL, current_steps = NULL, paused = false, updated_at = now
            FROM taken_over t WHERE i.id = t.instance_id AND i.waiting_for IS NOT NULL
        )
        SELECT i.id, t.token, i.expression, i.expression_hash, i.plan_hash, pg_get_userbyid(i.submitted_by),
               nullif(i.database, current_database()), i.search_path, i.time_zone, df._cancel_reason(i.id), true, i.input::text,
               i.variables::text, date_part('epoch', i.timeout), i.retrying, i.recorded, t.deaths
        FROM taken_over t JOIN df.instances i ON i.id = t.instance_id;
        quota := quota - taken;
    END IF;

    IF cardinality(dead) > 0 THEN
        DELETE FROM df.workers w
        WHERE w.id = ANY (dead) AND NOT EXISTS (SELECT FROM df.fences f WHERE f.worker = w.id AND f.wake_at IS NULL);
        PERFORM df._forget_requests();
        PERFORM df._forget_rate_limits();
    END IF;
    IF quota <= 0 THEN
        RETURN;
    END IF;

    -- The first by its index; an EXISTS may be planned as a scan that hopes to find one soon.
    IF cardinality(cancelled) > 0
       OR (SELECT i.due_at FROM df.instances i WHERE i.started_at IS NULL AND NOT i.ready AND NOT i.held ORDER BY i.due_at LIMIT 1) <= now
       OR (SELECT d.due_at FROM df.debounces d ORDER BY d.due_at LIMIT 1) <= now THEN
        PERFORM df._promote(cancelled);
        anew := true;
    END IF;
    IF df._key_is_free() THEN
        PERFORM df._release();
        anew := true;
    END IF;
    -- What was started long ago is ready now: among what was started lately it would not be found.
    IF anew THEN
        PERFORM set_config('df.look_pending', '', false);
    END IF;
    -- By their ids, and not as a join with what was found: a plan for few of them in a large table.
    free := df._choose(submitters, served, formats, cancelled, quota);
    IF cardinality(free) = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH begun AS (
        UPDATE df.instances i
        SET status = 'running', attempt = i.attempt + 1, waiting_for = NULL, paused = false, started_at = now, updated_at = now
        WHERE i.id = ANY (free)
        RETURNING i.id, i.expression, i.expression_hash, i.plan_hash, i.submitted_by, i.database, i.search_path,
                  i.time_zone, i.input, i.variables, i.timeout, i.concurrency_key, i.attempt, i.forked_from, i.retrying,
                  i.recorded
    ), fenced AS (
        INSERT INTO df.fences AS f (instance_id, submitted_by, worker, token, concurrency_key)
        SELECT b.id, b.submitted_by, me, df._new_token(), b.concurrency_key FROM begun b
        RETURNING f.instance_id, f.token
    )
    SELECT b.id, f.token, b.expression, b.expression_hash, b.plan_hash, pg_get_userbyid(b.submitted_by),
           nullif(b.database, current_database()), b.search_path, b.time_zone, df._cancel_reason(b.id), b.attempt > 1 OR b.forked_from IS NOT NULL, b.input::text,
           b.variables::text, date_part('epoch', b.timeout), b.retrying, b.recorded, 0
    FROM begun b JOIN fenced f ON f.instance_id = b.id;
END $$;
