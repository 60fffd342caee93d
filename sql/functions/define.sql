-- Definitions: workflows with a name, for df.start, df.call and df.schedule.

-- Gives a name a workflow. Nothing is stored where it means that already. A limit without a key is that of the
-- name's instances. Its instances are kept for keep_finished when they have ended. Raises DF1xx for a faulty expression,
-- DF113 and DF116 for the name, 22023 for params and keep_finished.
-- Locks: none (see df._before_definition).
CREATE OR REPLACE FUNCTION df.define(
    name text, body text, params jsonb DEFAULT NULL, on_failure text DEFAULT NULL, queue text DEFAULT NULL,
    priority integer DEFAULT NULL, timeout anycompatible DEFAULT NULL, concurrency_key text DEFAULT NULL,
    concurrency_limit integer DEFAULT NULL, keep_finished interval DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    called constant text := df._name(name, 'df.define');
    declared constant jsonb := df._params(params);
    expression constant text := df._wire(CASE WHEN declared IS NULL THEN df._node(body)
        ELSE '{"params":' || declared::text || ',"body":' || df._node(body) || '}' END);
    undone constant text := CASE WHEN on_failure IS NOT NULL THEN df._wire(df._node(on_failure)) END;
    lasting constant interval := df._interval(df._duration(timeout, 'df.define: timeout', false));
    kept constant interval := df._check_kept('df.define', keep_finished);
    key text := concurrency_key;
    version integer;
BEGIN
    PERFORM df._check_expression(expression);
    IF undone IS NOT NULL THEN
        PERFORM df._check_expression(undone);
    END IF;
    PERFORM df._check_options('df.define', queue, NULL, concurrency_key, coalesce(concurrency_limit, 1));
    IF concurrency_limit IS NOT NULL THEN
        key := coalesce(key, called);
    END IF;
    SELECT d.version INTO version FROM (
        SELECT d.* FROM df.definitions d
        WHERE d.owner = pg_catalog.quote_ident(CURRENT_USER)::regrole AND d.name = called ORDER BY d.id DESC LIMIT 1) AS d
    WHERE (d.expression, d.params, d.on_failure, d.queue, d.priority, d.timeout, d.concurrency_key, d.concurrency_limit, d.keep_finished)
        IS NOT DISTINCT FROM (expression, declared, undone, queue, priority, lasting, key, concurrency_limit, kept);
    IF version IS NULL THEN
        INSERT INTO df.definitions AS d (name, expression, params, on_failure, queue, priority, timeout, concurrency_key, concurrency_limit,
                                         keep_finished)
        VALUES (called, expression, declared, undone, queue, priority, lasting, key, concurrency_limit, kept)
        RETURNING d.version INTO version;
    END IF;
    RETURN pg_catalog.format('%s version %s', called, version);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'workflow "%" was defined by another session at the same time', called USING ERRCODE = '40001',
        DETAIL = 'Both would have made the same version.', HINT = 'Do it again.';
END $$;

-- Takes a name away. What was started under it goes on, and schedules that name it say that it is gone.
-- Raises 42704. Locks: none.
CREATE OR REPLACE FUNCTION df.undefine(name text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
BEGIN
    PERFORM df._definition(pg_catalog.quote_ident(CURRENT_USER)::regrole, name);
    INSERT INTO df.definitions (name) VALUES (name);
    RETURN 'OK';
END $$;

-- A duration of the wire text as an interval. Locks: none.
CREATE OR REPLACE FUNCTION df._interval(duration text) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.make_interval(months => (d ->> 0)::integer, days => (d ->> 1)::integer)
           + (d ->> 2)::bigint * interval '1 microsecond'
    FROM (SELECT duration::json AS d) AS j
$$;
