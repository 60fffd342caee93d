-- Pausing an instance and letting it go on. Both are rows in the caller's transaction, carried out by a worker.
--
-- An instance that a worker drives is given up by it when what runs has come to its end (df._park); all others are taken
-- care of by a claim, before it takes any (df._carry_out). A request to cancel it is the end of a pause.

-- Whether an instance that has not ended is paused; `stored` is what its row says. Locks: none.
CREATE OR REPLACE FUNCTION df._is_paused(instance text, stored boolean) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT r.kind = 'pause' FROM df.requests r
                     WHERE r.instance_id = $1 AND r.kind IN ('pause', 'resume') ORDER BY r.id DESC LIMIT 1), stored)
           AND NOT EXISTS (SELECT FROM df.requests c WHERE c.instance_id = $1 AND c.kind = 'cancel')
$$;

-- How an instance stands for whoever wants to pause it or let it go on; null where it has ended, or is about to,
-- and a notice has said so. Raises P0002 where there is none. Locks: none.
CREATE OR REPLACE FUNCTION df._state_to_change(instance_id text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    ended boolean;
    said text;
BEGIN
    SELECT i.completed_at IS NOT NULL, df.status(i.id) INTO ended, said FROM df.instances i WHERE i.id = instance_id;
    IF NOT FOUND THEN
        PERFORM df._refuse_unknown(instance_id, 'Nothing was changed.');
    ELSIF ended OR said = 'cancelled' THEN
        RAISE NOTICE 'instance % %: %', instance_id, CASE WHEN ended THEN 'had ended already' ELSE 'is about to end already' END, said
            USING HINT = 'Nothing was changed.';
        RETURN NULL;
    END IF;
    RETURN said;
END $$;

-- What runs comes to its end, nothing new begins. Locks: none (see df._wake).
CREATE OR REPLACE FUNCTION df.pause_instance(instance_id text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    said constant text := df._state_to_change(instance_id);
BEGIN
    IF said = 'paused' THEN
        RAISE NOTICE 'instance % is paused already', instance_id USING HINT = 'Nothing was changed.';
    ELSIF said IS NOT NULL THEN
        INSERT INTO df.requests (instance_id, kind) VALUES (instance_id, 'pause');
        PERFORM df._wake();
    END IF;
    RETURN pg_catalog.format(CASE WHEN said IS NULL THEN 'Instance %s is not paused' ELSE 'Instance %s paused' END, instance_id);
END $$;

-- It goes on at once where it stood; timers that have passed are over. Locks: none (see df._wake).
CREATE OR REPLACE FUNCTION df.resume_instance(instance_id text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    said constant text := df._state_to_change(instance_id);
BEGIN
    IF said = 'paused' THEN
        INSERT INTO df.requests (instance_id, kind) VALUES (instance_id, 'resume');
        PERFORM df._wake();
        RETURN pg_catalog.format('Instance %s resumed', instance_id);
    ELSIF said IS NOT NULL THEN
        RAISE NOTICE 'instance % is not paused', instance_id USING HINT = 'Nothing was changed.';
    END IF;
    RETURN pg_catalog.format('Instance %s is not paused', instance_id);
END $$;

-- Carries out what has been asked of instances that nobody drives: the pending and the parked ones, and those of dead
-- workers. What is to go on is due at `moment`, for the claim that calls this. One that is paused is parked for ever; what has been asked is in its row then, and the requests go.
-- Locks: the fences, then the instances, both SKIP LOCKED: what is locked comes the next time.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._carry_out(dead bigint[], moment timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    asked text[];
    free text[];
    pauses text[];
    last bigint;
BEGIN
    SELECT array_agg(DISTINCT r.instance_id), max(r.id) INTO asked, last FROM df.requests r WHERE r.kind IN ('pause', 'resume');
    free := ARRAY(SELECT f.instance_id FROM df.fences f
                  WHERE f.instance_id = ANY (asked) AND (f.wake_at IS NOT NULL OR f.worker IS NULL OR f.worker = ANY (dead))
                  FOR NO KEY UPDATE SKIP LOCKED);
    free := ARRAY(SELECT i.id FROM df.instances i
                  WHERE i.id = ANY (asked) AND (i.started_at IS NULL OR i.id = ANY (free)) FOR NO KEY UPDATE SKIP LOCKED);
    IF cardinality(free) = 0 THEN
        RETURN;
    END IF;
    pauses := ARRAY(
        SELECT l.instance_id FROM (
            SELECT DISTINCT ON (r.instance_id) r.instance_id, r.kind FROM df.requests r
            WHERE r.instance_id = ANY (free) AND r.kind IN ('pause', 'resume') AND r.id <= last
            ORDER BY r.instance_id, r.id DESC) AS l
        WHERE l.kind = 'pause' AND NOT EXISTS (SELECT FROM df.requests c WHERE c.instance_id = l.instance_id AND c.kind = 'cancel'));
    UPDATE df.fences f
    SET worker = NULL, token = df._new_token(), cancel_known = false, listens = false,
        wake_at = CASE WHEN f.instance_id = ANY (pauses) THEN 'infinity' ELSE moment END, parked_at = moment
    FROM df.instances i
    WHERE i.id = f.instance_id AND i.id = ANY (free) AND (i.paused OR i.id = ANY (pauses));
    -- Another one may start in its place; when it goes on, it is looked at anew whether its key has room.
    INSERT INTO df.freed_keys (submitted_by, key)
    SELECT i.submitted_by, i.concurrency_key FROM df.instances i
    WHERE i.id = ANY (pauses) AND i.started_at IS NULL AND i.ready AND NOT i.paused AND i.concurrency_key IS NOT NULL;
    UPDATE df.instances i
    SET paused = i.id = ANY (pauses), updated_at = moment,
        ready = i.ready OR i.held AND i.id <> ALL (pauses), held = i.held AND i.id = ANY (pauses),
        waiting_for = CASE WHEN i.id = ANY (pauses) THEN 'df.resume_instance' WHEN i.started_at IS NOT NULL THEN i.waiting_for END
    WHERE i.id = ANY (free) AND i.paused <> (i.id = ANY (pauses));
    DELETE FROM df.requests r WHERE r.instance_id = ANY (free) AND r.kind IN ('pause', 'resume') AND r.id <= last;
END $$;
