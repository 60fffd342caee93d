-- Starts a compiled workflow: {"expression": "<wire text>", "plan": ...}. The plan in it is a claim of whoever
-- wrote it, so the expression is what counts; it is compiled once more where its plan is not known.
-- Locks: as df.start(text).
--
-- Schemas installed before the first release name the parameter `plan`, and no name of a parameter can be
-- replaced; a migration for them alone would make every new installation one of two transactions.
DO $$
DECLARE
    old pg_catalog.regprocedure;
BEGIN
    SELECT p.oid INTO old FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'df'::regnamespace AND p.proname = 'start' AND p.proargnames[1] = 'plan';
    IF old IS NOT NULL THEN
        EXECUTE pg_catalog.format('DROP FUNCTION %s', old);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION df.start(
    fut jsonb, label text DEFAULT NULL, database text DEFAULT NULL, transaction_mode text DEFAULT 'caller',
    input jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL, priority integer DEFAULT NULL,
    queue text DEFAULT NULL, start_at timestamptz DEFAULT NULL, timeout anycompatible DEFAULT NULL,
    concurrency_key text DEFAULT NULL, concurrency_limit integer DEFAULT NULL, debounce_key text DEFAULT NULL,
    debounce anycompatible DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
BEGIN
    IF (pg_catalog.jsonb_typeof(fut -> 'expression') = 'string') IS NOT TRUE THEN
        RAISE EXCEPTION 'the plan comes without its expression' USING ERRCODE = '22023',
            DETAIL = 'Plans are not run as submitted: they are compiled from their expression.',
            HINT = 'Submit the whole document that `dfc compile` writes.';
    END IF;
    RETURN df.start(fut ->> 'expression', coalesce(label, fut ->> 'label'), database, transaction_mode, input,
                    idempotency_key, priority, queue, start_at, timeout, concurrency_key, concurrency_limit,
                    debounce_key, debounce);
END $$;
