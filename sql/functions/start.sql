-- Starts a workflow: one row in the caller's transaction, which commits or rolls back with it.
--
-- The row's trigger computes the hash and pins a known plan; only where there is none is the expression looked
-- at here, so that a repeated start is one INSERT. SECURITY INVOKER: the submitter is the current user, also
-- where a SECURITY DEFINER function of another role calls it. No SET clause: the row's defaults read the
-- caller's search_path. Raises DF1xx for a faulty expression, 0A000 for what cannot be executed yet.
-- Locks: none that another session could wait for (see df._wake).
CREATE OR REPLACE FUNCTION df.start(
    fut text, label text DEFAULT NULL, database text DEFAULT NULL, transaction_mode text DEFAULT 'caller',
    input jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL, priority integer DEFAULT 0,
    queue text DEFAULT 'default', start_at timestamptz DEFAULT NULL, timeout text DEFAULT NULL,
    concurrency_key text DEFAULT NULL, concurrency_limit integer DEFAULT NULL, debounce_key text DEFAULT NULL,
    debounce text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    wire text := fut;
    started text;
    known text;
    given text;
    waits text;
    served boolean;
BEGIN
    IF pg_catalog.lower(transaction_mode) = 'new' THEN
        RETURN df._start_anew(pg_catalog.jsonb_build_object(
            'fut', fut, 'label', label, 'database', database, 'input', input::text, 'idempotency_key', idempotency_key,
            'priority', priority, 'queue', queue, 'start_at', start_at, 'timeout', timeout, 'concurrency_key', concurrency_key,
            'concurrency_limit', concurrency_limit, 'debounce_key', debounce_key, 'debounce', debounce));
    END IF;
    IF (transaction_mode <> 'caller'
        OR idempotency_key IS NOT NULL OR priority <> 0 OR queue <> 'default' OR start_at IS NOT NULL
        OR timeout IS NOT NULL OR concurrency_key IS NOT NULL OR concurrency_limit IS NOT NULL
        OR debounce_key IS NOT NULL OR debounce IS NOT NULL) IS TRUE OR transaction_mode IS NULL THEN
        given := pg_catalog.concat_ws(', ',
            CASE WHEN idempotency_key IS NOT NULL THEN 'idempotency_key' END,
            CASE WHEN priority <> 0 THEN 'priority' END, CASE WHEN queue <> 'default' THEN 'queue' END,
            CASE WHEN start_at IS NOT NULL THEN 'start_at' END, CASE WHEN timeout IS NOT NULL THEN 'timeout' END,
            CASE WHEN concurrency_key IS NOT NULL THEN 'concurrency_key' END,
            CASE WHEN concurrency_limit IS NOT NULL THEN 'concurrency_limit' END,
            CASE WHEN debounce_key IS NOT NULL THEN 'debounce_key' END,
            CASE WHEN debounce IS NOT NULL THEN 'debounce' END);
        PERFORM df._check_start(database, transaction_mode, given);
    END IF;
    IF (pg_catalog.length(label) > 1000) IS TRUE THEN
        RAISE EXCEPTION 'the label is too long' USING ERRCODE = '22001',
            DETAIL = 'A label has at most 1000 characters.', HINT = 'Put data into the workflow''s own tables.';
    END IF;
    IF (pg_catalog.starts_with(fut, '/*dfc:1:')) IS NOT TRUE THEN
        wire := df._wire(df._node(fut));
    END IF;
    IF pg_catalog.octet_length(wire) > df._expression_bytes_max() THEN
        RAISE EXCEPTION 'the workflow has % bytes, and the limit is %', pg_catalog.octet_length(wire), df._expression_bytes_max()
            USING ERRCODE = 'DF513', HINT = 'Keep data in tables and let the steps read it.';
    END IF;
    INSERT INTO df.instances AS i (expression, label, input, database) VALUES (wire, label, input, database)
    RETURNING i.id, i.plan_hash, i.waiting_for INTO started, known, waits;
    IF known IS NULL THEN
        PERFORM df._check_expression(wire);
    END IF;
    IF waits IS NOT NULL THEN
        served := df._is_served(CURRENT_USER);
    END IF;
    IF waits IS NOT NULL AND served IS NULL THEN
        RAISE NOTICE 'instance % waits: no worker is alive', started
            USING HINT = 'Start one: dfc worker --database ...';
    ELSIF NOT served THEN
        RAISE WARNING 'instance % waits: no worker serves role %', started, pg_catalog.quote_ident(CURRENT_USER)
            USING DETAIL = 'A worker runs the workflows of the roles that it logs in as.', HINT = df._way_to_be_served(CURRENT_USER);
    END IF;
    PERFORM df._wake();
    RETURN started;
END $$;

-- What df.start refuses about its arguments; `given` are those that later versions will take.
CREATE OR REPLACE FUNCTION df._check_start(database text, transaction_mode text, given text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF pg_catalog.lower(transaction_mode) IN ('caller', 'new') IS NOT TRUE THEN
        RAISE EXCEPTION 'invalid transaction_mode "%" for df.start(): expected ''caller'' or ''new''', transaction_mode
            USING ERRCODE = '22023', HINT = 'Leave it out to start in the caller''s transaction.';
    ELSIF given <> '' THEN
        RAISE EXCEPTION 'df.start: % is not executable yet', given USING ERRCODE = '0A000',
            HINT = 'This version takes a label and an input.';
    END IF;
END $$;
