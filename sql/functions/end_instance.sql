-- Ends an instance whose fence the caller has locked: status, result or error, and the fence goes.
--
-- A result that cannot be written as JSON (nested too deep, longer than a text can be) does not keep the
-- instance from ending: its steps have happened, and the rows stay in df.checkpoints.
-- Locks: the instance's row, after the fence.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._end_instance(instance text, finish json) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    ending constant text := finish ->> 'status';
    outcome json;
    problem json;
    ended_at constant timestamptz := clock_timestamp();
BEGIN
    IF ending = 'completed' THEN
        BEGIN
            outcome := df._result_of(instance, finish -> 'shape')::json;
        EXCEPTION WHEN data_exception OR program_limit_exceeded OR untranslatable_character THEN
            outcome := json_build_object('unreadable', SQLERRM);
        END;
    ELSIF ending = 'failed' THEN
        problem := coalesce(nullif((finish -> 'error')::text, 'null')::json, '{"message": "failed"}');
    ELSIF ending = 'cancelled' THEN
        problem := json_build_object('message', 'Cancelled: ' || coalesce(finish ->> 'reason', 'Cancelled by user'),
                                     'reason', coalesce(finish ->> 'reason', 'Cancelled by user'));
    ELSE
        RAISE EXCEPTION 'an instance cannot end as %', coalesce(quote_literal(ending), 'NULL')
            USING ERRCODE = '22023', HINT = 'status is completed, failed or cancelled.';
    END IF;
    UPDATE df.instances i
    SET status = ending, result = outcome, error = problem, updated_at = ended_at, completed_at = ended_at,
        started_at = coalesce(i.started_at, ended_at), waiting_for = NULL, current_steps = NULL
    WHERE i.id = instance;
    DELETE FROM df.fences f WHERE f.instance_id = instance;
    DELETE FROM df.requests r WHERE r.instance_id = instance;
END $$;
