-- What a record carries along in its transaction: `rider` is
--   {"status": ...}                                                   the end of the instance (df._end_instance),
--       left out when a cancel request has committed before, unless it is the answer to that;
--   {"decide": {"path": p, "value": v}}                               a decision, first come;
--   {"item": {"path": m, "item": n, "shape": s, "error": e, "forget": [...]}}   the end of an item of a map;
--       without shape and error the record itself is the outcome.
-- Raises DX004 where the decision has been made already, so that the step is rolled back; DX002 where the item
-- has ended. Locks: the instance (its end); the item's row, and its map's. Called under the fence's lock.
-- Called from functions that pin search_path.

-- Whether the record is an item's whole outcome. Then it goes into the item's row, and a checkpoint is not
-- written, only to be deleted at once. Above read committed it is written all the same: an attempt that has
-- committed since the snapshot is seen by the unique index alone. Locks: none.
CREATE OR REPLACE FUNCTION df._rides_alone(rider json, path text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT rider ->> 'item' IS NOT NULL AND rider #>> '{item,error}' IS NULL
       AND coalesce(rider #>> '{item,shape}' = path AND json_typeof(rider #> '{item,shape}') = 'string', true)
       AND current_setting('transaction_isolation') = 'read committed'
$$;

-- The end, and null; or why it is left out: the reason of the cancel request.
CREATE OR REPLACE FUNCTION df._end_unless_cancelled(instance text, rider json) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    reason constant text := df._cancel_reason(instance);
BEGIN
    IF reason IS NULL OR rider ->> 'status' = 'cancelled' THEN
        PERFORM df._end_instance(instance, rider);
        RETURN NULL;
    END IF;
    RETURN reason;
END $$;

-- What is not the end. `own`: the outcome of a record that rides alone.
CREATE OR REPLACE FUNCTION df._ride(instance text, path text, journal bigint, rider json, own json) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
BEGIN
    IF rider ->> 'item' IS NOT NULL THEN
        PERFORM df._ride_item(instance, path, rider -> 'item', own);
    ELSIF rider ->> 'decide' IS NOT NULL THEN
        PERFORM df._ride_decision(instance, journal, rider -> 'decide');
    ELSE
        RAISE EXCEPTION 'nothing like this can go with a record: %', left(rider::text, 100)
            USING ERRCODE = '22023', HINT = 'It has a status, a decide or an item.';
    END IF;
END $$;

-- A decision that rides has the journal number of its record. Above read committed a rival that has committed
-- since the snapshot is seen by the unique index alone, so the index is asked.
CREATE OR REPLACE FUNCTION df._ride_decision(instance text, journal bigint, decide json) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
BEGIN
    IF (decide ->> 'path' LIKE '%/decision') IS NOT TRUE OR decide -> 'value' IS NULL THEN
        RAISE EXCEPTION 'this is not a decision: %', decide USING ERRCODE = '22023',
            HINT = 'It has a path that ends in /decision, and a value.';
    END IF;
    BEGIN
        INSERT INTO df.marks (instance_id, path, kind, journal, value)
        VALUES (instance, decide ->> 'path', 'decided', journal, decide -> 'value');
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION 'the decision % of instance % has been made', decide ->> 'path', instance
            USING ERRCODE = 'DX004', DETAIL = 'A rival was first; this step is rolled back.';
    END;
END $$;

-- The record and what is forgotten have to be the item's own: a step that has learned its token has no say over others.
CREATE OR REPLACE FUNCTION df._ride_item(instance text, path text, item json, own json) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    number constant bigint := item ->> 'item';
    frame constant text := (item ->> 'path') || '[' || number || ']/';
    forget constant text[] := ARRAY(SELECT json_array_elements_text(item -> 'forget'));
    problem constant json := nullif((item -> 'error')::text, 'null');
BEGIN
    IF (SELECT bool_and(starts_with(f, frame)) FROM unnest(path || forget) AS f) IS NOT TRUE THEN
        RAISE EXCEPTION 'step % is not of item % of map %', path, number, item ->> 'path' USING ERRCODE = '22023',
            HINT = 'Only what is recorded under the item may go with it.';
    END IF;
    IF own IS NOT NULL THEN
        PERFORM FROM df.checkpoints c WHERE c.instance_id = instance AND c.path = path;
        IF FOUND THEN
            PERFORM df._recorded_already(instance, path);
        END IF;
    ELSIF problem IS NULL THEN
        own := df._outcome_of(instance, coalesce(nullif((item -> 'shape')::text, 'null')::json, to_json(path)));
    END IF;
    IF NOT df._put_outcome(instance, item ->> 'path', number, CASE WHEN problem IS NULL THEN own END, problem) THEN
        PERFORM df._recorded_already(instance, path);
    END IF;
    PERFORM df._forget(instance, path || forget);
END $$;
