-- Ends an instance whose fence the caller has locked: status, result or error, and the fence goes.
--
-- `finish` is {"status", "shape", "error", "reason", "undo_errors"}. The errors of undo steps that failed stand
-- in the error, under `undo`. Signals that nobody has taken go; who waits for its end is woken; what its definition does about
-- a failure is started. The rows of the steps stay in df.checkpoints.
-- Locks: the instance's row, after the fence.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._end_instance(instance text, finish json) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    ending constant text := finish ->> 'status';
    undone constant json := finish -> 'undo_errors';
    outcome json;
    problem json;
    ended_at constant timestamptz := clock_timestamp();
    defined text;
    key text;
    submitter regrole;
BEGIN
    IF ending = 'completed' THEN
        outcome := df._outcome_of(instance, finish -> 'shape');
    ELSIF ending IN ('failed', 'compensated') THEN
        problem := coalesce(nullif((finish -> 'error')::text, 'null')::json, '{"message": "failed"}');
    ELSIF ending = 'cancelled' THEN
        problem := json_build_object('message', 'Cancelled: ' || coalesce(finish ->> 'reason', 'Cancelled by user'),
                                     'reason', coalesce(finish ->> 'reason', 'Cancelled by user'));
    ELSE
        RAISE EXCEPTION 'an instance cannot end as %', coalesce(quote_literal(ending), 'NULL')
            USING ERRCODE = '22023', HINT = 'status is completed, failed, compensated or cancelled.';
    END IF;
    IF problem IS NOT NULL AND json_typeof(undone) = 'array' AND json_array_length(undone) > 0 THEN
        SELECT json_object_agg(e.key, e.value ORDER BY e.n) INTO problem
        FROM (SELECT p.key, p.value, p.n FROM json_each(problem) WITH ORDINALITY AS p(key, value, n)
              UNION ALL SELECT 'undo', undone, 9223372036854775807) AS e;
    END IF;
    UPDATE df.instances i
    SET status = ending, paused = false, retrying = false, result = outcome, error = problem, updated_at = ended_at, completed_at = ended_at,
        started_at = coalesce(i.started_at, ended_at), next_attempt_at = NULL, waiting_for = NULL, current_steps = NULL,
        result_path = CASE WHEN ending = 'completed' AND json_typeof(finish -> 'shape') = 'string' THEN finish ->> 'shape' END
    WHERE i.id = instance RETURNING i.definition, i.concurrency_key, i.submitted_by INTO defined, key, submitter;
    DELETE FROM df.fences f WHERE f.instance_id = instance;
    DELETE FROM df.requests r WHERE r.instance_id = instance;
    DELETE FROM df.signals s WHERE s.instance_id = instance;
    IF defined IS NOT NULL AND ending IN ('failed', 'compensated') THEN
        PERFORM df._start_on_failure(instance);
    END IF;
    -- Its place under its key is free.
    IF key IS NOT NULL THEN
        INSERT INTO df.freed_keys (submitted_by, key) VALUES (submitter, key);
    END IF;
    -- Those that wait for its end. What is not seen here, since the snapshot is older, has seen the end.
    INSERT INTO df.requests (instance_id, kind) SELECT DISTINCT m.instance_id, 'wake' FROM df.marks m WHERE m.other = instance;
    IF FOUND OR key IS NOT NULL THEN
        PERFORM df._wake();
    END IF;
END $$;
