-- The arguments of df.start that say when an instance starts, and which instance that is.

-- Whether a text is none that instances can be found by: empty, or longer than what fits into an index. Locks: none.
CREATE OR REPLACE FUNCTION df._is_no_key(given text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT given = '' OR pg_catalog.length(given) > 1000 OR pg_catalog.octet_length(given) > 2500
$$;

-- Refuses what no instance can have. `what` names the function. Raises 22023. Locks: none.
CREATE OR REPLACE FUNCTION df._check_options(
    what text, queue text, start_at timestamptz, concurrency_key text, concurrency_limit integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    problem text;
    help text;
BEGIN
    IF df._is_no_key(queue) THEN
        problem := 'the name of the queue is empty, or longer than 1000 characters or 2500 bytes';
        help := 'Give a short name; `dfc worker --queue <name>` serves it.';
    ELSIF NOT pg_catalog.isfinite(start_at) THEN
        problem := 'start_at is ' || start_at || ', which never comes or has always been';
        help := 'Give a point in time; one that has passed means now.';
    ELSIF df._is_no_key(concurrency_key) THEN
        problem := 'concurrency_key is empty, or longer than 1000 characters or 2500 bytes';
        help := 'Give a short text: instances with the same one share a limit.';
    ELSIF concurrency_limit < 1 THEN
        problem := 'concurrency_limit is ' || concurrency_limit;
        help := 'It is the number of instances with the same concurrency_key that may run at a time: 1 or more.';
    ELSIF concurrency_limit IS NOT NULL AND concurrency_key IS NULL AND what = 'df.start' THEN
        problem := 'concurrency_limit is given and concurrency_key is not';
        help := 'Give the key that the limit is for.';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '%: %', what, problem USING ERRCODE = '22023', DETAIL = 'Nothing was stored.', HINT = help;
    END IF;
END $$;

-- Refuses keys that do not go together; gives when the instance is due. Raises 22023. Locks: none.
CREATE OR REPLACE FUNCTION df._check_keys(
    idempotency_key text, start_at timestamptz, debounce_key text, debounce interval) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    problem text;
    help text := 'A debounced start needs both: one instance for each debounce_key, `debounce` after the last call.';
BEGIN
    IF df._is_no_key(idempotency_key) OR df._is_no_key(debounce_key) THEN
        problem := 'a key is empty, or longer than 1000 characters or 2500 bytes';
        help := 'Give a short text that names what must not be started twice.';
    ELSIF debounce_key IS NULL AND debounce IS NOT NULL THEN
        problem := 'debounce is given and debounce_key is not';
    ELSIF debounce_key IS NOT NULL AND debounce IS NULL THEN
        problem := 'debounce_key is given and debounce is not';
    ELSIF debounce_key IS NOT NULL AND (start_at IS NOT NULL OR idempotency_key IS NOT NULL) THEN
        problem := CASE WHEN start_at IS NOT NULL THEN 'start_at' ELSE 'idempotency_key' END || ' and debounce_key are given';
        help := 'A debounced start says itself when it starts, and which calls are one. Leave one of them out.';
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'df.start: %', problem USING ERRCODE = '22023', DETAIL = 'Nothing was stored.', HINT = help;
    END IF;
    RETURN coalesce(pg_catalog.clock_timestamp() + debounce, start_at);
END $$;

-- The instance that was started under an idempotency key; NULL where it has gone meanwhile. `input` is as given, before
-- defaults were put in. Raises 22023 where it is not the same. Locks: none.
CREATE OR REPLACE FUNCTION df._same_key(idempotency_key text, wire text, definition text, input jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    other record;
BEGIN
    SELECT i.id, i.definition, i.input, i.expression = wire AS alike, (
               SELECT d.params FROM df.definitions d
               WHERE d.owner = i.submitted_by AND d.name = i.definition AND d.version = i.definition_version LIMIT 1) AS params
        INTO other
    FROM df.instances i
    WHERE i.submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole AND i.idempotency_key = idempotency_key;
    IF other.id IS NULL THEN
        RETURN NULL;
    ELSIF other.definition IS DISTINCT FROM definition OR (definition IS NULL AND NOT other.alike) THEN
        PERFORM df._refuse_key('idempotency_key', other.id, 'workflow');
    ELSIF other.input IS DISTINCT FROM df._input(definition, other.params, input, true) THEN
        PERFORM df._refuse_key('idempotency_key', other.id, 'input');
    END IF;
    RETURN other.id;
END $$;

-- Joins the instance that waits under a debounce key; NULL where it has started meanwhile. Raises 22023 where it is
-- another workflow. Locks: the instance, see df._before_debounce.
CREATE OR REPLACE FUNCTION df._join(debounce_key text, wire text, definition text, input jsonb, due timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    other record;
BEGIN
    SELECT i.id, i.definition, i.expression = wire AS alike INTO other FROM df.instances i
    WHERE i.submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole AND i.debounce_key = debounce_key
      AND i.started_at IS NULL AND NOT i.ready AND NOT i.held;
    IF other.id IS NULL THEN
        RETURN NULL;
    ELSIF other.definition IS DISTINCT FROM definition OR (definition IS NULL AND NOT other.alike) THEN
        PERFORM df._refuse_key('debounce_key', other.id, 'workflow');
    END IF;
    INSERT INTO df.debounces (instance_id, input, due_at) VALUES (other.id, input, due);
    RETURN CASE WHEN FOUND THEN other.id END;
END $$;

CREATE OR REPLACE FUNCTION df._refuse_key(key text, instance text, what text) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE EXCEPTION 'df.start: another % was started under this %', what, key USING ERRCODE = '22023',
        DETAIL = pg_catalog.format('Instance %s has it; its %s is not the one given now.', instance, what),
        HINT = 'Take another key, or start the same again.';
END $$;
