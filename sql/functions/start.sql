-- Starts a workflow: one row in the caller's transaction, which commits or rolls back with it.
--
-- The row's trigger computes the hash and pins a known plan; only where there is none is the expression looked
-- at here, so that a repeated start is one INSERT. SECURITY INVOKER: the submitter is the current user, also
-- where a SECURITY DEFINER function of another role calls it. No SET clause: the row's defaults read the
-- caller's search_path. One bare word is a definition of the current user. Raises DF1xx for a faulty expression,
-- 42704 for an unknown definition, 22023 for arguments and inputs, 0A000 for what cannot be executed yet.
-- Locks: none that another session could wait for (see df._wake), but under a key: who starts under the same one at the same
-- time waits for the first to commit.
CREATE OR REPLACE FUNCTION df.start(
    fut text, label text DEFAULT NULL, database text DEFAULT NULL, transaction_mode text DEFAULT 'caller',
    input jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL, priority integer DEFAULT NULL,
    queue text DEFAULT NULL, start_at timestamptz DEFAULT NULL, timeout anycompatible DEFAULT NULL,
    concurrency_key text DEFAULT NULL, concurrency_limit integer DEFAULT NULL, debounce_key text DEFAULT NULL,
    debounce anycompatible DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    wire text := fut;
    definition df.definitions;
    given jsonb := input;
    due timestamptz := start_at;
    lasting interval;
    started text;
    known text;
    waits text;
BEGIN
    IF pg_catalog.lower(transaction_mode) = 'new' THEN
        RETURN df._start_anew(pg_catalog.jsonb_build_object(
            'fut', fut, 'label', label, 'database', database, 'input', input::text, 'idempotency_key', idempotency_key,
            'priority', priority, 'queue', queue, 'start_at', start_at, 'timeout', timeout, 'concurrency_key', concurrency_key,
            'concurrency_limit', concurrency_limit, 'debounce_key', debounce_key, 'debounce', debounce));
    ELSIF transaction_mode <> 'caller' OR transaction_mode IS NULL THEN
        PERFORM df._check_start(transaction_mode);
    END IF;
    IF label IS NOT NULL THEN
        PERFORM df._check_label(label);
    END IF;
    -- What is not given costs nothing.
    IF coalesce(queue, concurrency_key, start_at::text, concurrency_limit::text) IS NOT NULL THEN
        PERFORM df._check_options('df.start', queue, start_at, concurrency_key, concurrency_limit);
    END IF;
    IF timeout IS NOT NULL THEN
        lasting := df._interval(df._duration(timeout, 'df.start: timeout', false));
    END IF;
    IF idempotency_key IS NOT NULL OR debounce_key IS NOT NULL OR debounce IS NOT NULL THEN
        due := df._check_keys(idempotency_key, start_at, debounce_key, df._interval(df._duration(debounce, 'df.start: debounce', false)));
    END IF;
    IF (pg_catalog.starts_with(fut, '/*dfc:1:')) IS NOT TRUE THEN
        IF df._is_identifier(fut) AND df._helper_of(fut) IS NULL THEN
            definition := df._definition(pg_catalog.quote_ident(CURRENT_USER)::regrole, fut);
            given := df._input(fut, definition.params, input, true);
            wire := definition.expression;
        ELSE
            wire := df._wire(df._node(fut));
        END IF;
    END IF;
    IF pg_catalog.octet_length(wire) > df._expression_bytes_max() THEN
        RAISE EXCEPTION 'the workflow has % bytes, and the limit is %', pg_catalog.octet_length(wire), df._expression_bytes_max()
            USING ERRCODE = 'DF513', DETAIL = 'Nothing was started.', HINT = 'Keep data in tables and let the steps read it.';
    END IF;
    FOR attempt IN 1 .. 10 LOOP
        IF idempotency_key IS NULL AND debounce_key IS NULL THEN
            INSERT INTO df.instances AS i (expression, label, input, definition, database, priority, queue, due_at, timeout,
                                           concurrency_key, concurrency_limit)
            VALUES (wire, label, given, definition.name, database, priority, queue, due,
                    lasting, concurrency_key, concurrency_limit)
            RETURNING i.id, i.plan_hash, i.waiting_for INTO started, known, waits;
        ELSE
            INSERT INTO df.instances AS i (expression, label, input, definition, database, priority, queue, due_at, timeout,
                                           concurrency_key, concurrency_limit, idempotency_key, debounce_key)
            VALUES (wire, label, given, definition.name, database, priority, queue, due,
                    lasting, concurrency_key, concurrency_limit,
                    idempotency_key, debounce_key)
            ON CONFLICT DO NOTHING
            RETURNING i.id, i.plan_hash, i.waiting_for INTO started, known, waits;
        END IF;
        EXIT WHEN started IS NOT NULL;
        started := CASE WHEN debounce_key IS NULL THEN df._same_key(idempotency_key, wire, definition.name, input)
                        ELSE df._join(debounce_key, wire, definition.name, given, due) END;
        IF started IS NOT NULL THEN
            IF debounce_key IS NULL AND EXISTS (
                    SELECT FROM df.instances i
                    WHERE i.id = started
                      AND coalesce(i.database, pg_catalog.current_database()) <> coalesce(database, pg_catalog.current_database())) THEN
                PERFORM df._refuse_key('idempotency_key', started, 'database');
            END IF;
            RETURN started;
        END IF;
    END LOOP;
    IF known IS NULL THEN
        PERFORM df._check_expression(wire);
    END IF;
    PERFORM df._announce(started, waits, queue);
    RETURN started;
END $$;

-- What df.start refuses about its transaction.
CREATE OR REPLACE FUNCTION df._check_start(transaction_mode text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF pg_catalog.lower(transaction_mode) IN ('caller', 'new') IS NOT TRUE THEN
        RAISE EXCEPTION 'invalid transaction_mode "%" for df.start(): expected ''caller'' or ''new''', transaction_mode
            USING ERRCODE = '22023', DETAIL = 'Nothing was started.', HINT = 'Leave it out to start in the caller''s transaction.';
    END IF;
END $$;
