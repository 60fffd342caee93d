-- Signals: a row in the caller's transaction, which wakes the instance when it commits. SECURITY INVOKER: the caller's
-- policies say to which instances. Raises P0002, 22004, 22023, 54000. Locks: none (see df._wake).

-- What a signal carries: JSON as it is, any other text as a JSON string. JSON that no step could read (a NUL, half a
-- surrogate pair, a number that is too large) is refused: it would end the workflow instead of reaching its sender.
CREATE OR REPLACE FUNCTION df._signal_data(given text) RETURNS json
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    document json;
BEGIN
    BEGIN
        document := given::json;
    EXCEPTION WHEN data_exception THEN
        RETURN pg_catalog.to_json(given);
    END;
    PERFORM document::jsonb;
    RETURN document;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RAISE EXCEPTION 'df.signal: the data is JSON that jsonb cannot hold' USING ERRCODE = '22023', DETAIL = SQLERRM,
        HINT = 'Nothing was sent. Send it without that, or as text: to_json(data::text).';
END $$;

CREATE OR REPLACE FUNCTION df._check_signal(what text, signal_name text, signal_data text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF coalesce(signal_name, '') = '' THEN
        RAISE EXCEPTION '%: the name of the signal is %', what, CASE WHEN signal_name IS NULL THEN 'NULL' ELSE 'empty' END
            USING ERRCODE = '22023', DETAIL = 'A step waits for a signal by its name.',
            HINT = 'Give the name that stands in df.wait_for_signal.';
    ELSIF pg_catalog.octet_length(signal_name) > df._key_bytes_max() THEN
        RAISE EXCEPTION '%: the name of the signal has % bytes, and the limit is %', what,
            pg_catalog.octet_length(signal_name), df._key_bytes_max()
            USING ERRCODE = '22023', DETAIL = 'Nothing was sent.', HINT = 'Put what it says into its data.';
    ELSIF signal_data IS NULL THEN
        RAISE EXCEPTION '%: the data of signal "%" is NULL', what, signal_name USING ERRCODE = '22004',
            DETAIL = 'Nothing was sent.', HINT = 'Leave it out, or give JSON: ''null'' is JSON, too.';
    ELSIF pg_catalog.octet_length(signal_data) > df._result_bytes_max() THEN
        RAISE EXCEPTION '%: the data of signal "%" has % bytes, and the limit is %', what, signal_name,
            pg_catalog.octet_length(signal_data), df._result_bytes_max()
            USING ERRCODE = '54000', DETAIL = 'Nothing was sent.', HINT = 'Put it into a table, and send its key.';
    END IF;
END $$;

-- An empty key is a variable that was forgotten: the second message would silently be the first one.
CREATE OR REPLACE FUNCTION df._check_dedupe_key(what text, dedupe_key text) RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF dedupe_key = '' OR pg_catalog.octet_length(dedupe_key) > df._key_bytes_max() THEN
        RAISE EXCEPTION '%: the dedupe_key is empty or longer than % bytes', what, df._key_bytes_max()
            USING ERRCODE = '22023', DETAIL = 'Nothing was sent.',
            HINT = 'Give what is different for each message, like the id of a delivery; or leave it out.';
    END IF;
END $$;

-- The names of the signals that an instance's plan waits for; null where it has none yet.
CREATE OR REPLACE FUNCTION df._signal_names(instance_id text) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN i.plan IS NOT NULL THEN ARRAY(
        SELECT DISTINCT s.n ->> 'name'
        FROM pg_catalog.jsonb_path_query(i.plan, 'strict $.** ? (@.kind == "signal")') AS s(n) ORDER BY 1) END
    FROM df.instances i WHERE i.id = $1
$$;

CREATE OR REPLACE FUNCTION df.signal(
    instance_id text, signal_name text, signal_data text DEFAULT '{}', dedupe_key text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    names text[];
    ending text;
BEGIN
    PERFORM df._check_signal('df.signal', signal_name, signal_data);
    PERFORM df._check_dedupe_key('df.signal', dedupe_key);
    SELECT CASE WHEN i.completed_at IS NOT NULL THEN i.status END INTO ending FROM df.instances i WHERE i.id = instance_id;
    IF NOT FOUND THEN
        PERFORM df._refuse_unknown(instance_id, 'Nothing was sent.');
    ELSIF ending IS NOT NULL THEN
        RAISE WARNING 'instance % has ended already (%): nobody reads signal "%"', instance_id, ending, signal_name
            USING DETAIL = 'Nothing was sent.', HINT = 'SELECT id, label, status FROM df.instances shows those that run.';
        RETURN 'OK';
    END IF;
    names := df._signal_names(instance_id);
    IF signal_name <> ALL (names) THEN
        RAISE WARNING 'instance % waits for no signal "%"', instance_id, signal_name
            USING DETAIL = CASE WHEN names = '{}' THEN 'Its workflow waits for no signal.'
                                ELSE 'Its workflow waits for: ' || pg_catalog.array_to_string(names, ', ') || '.' END,
            HINT = 'It was sent all the same, and goes with the instance when that ends. Names are compared exactly.';
    END IF;
    INSERT INTO df.signals (instance_id, name, data, dedupe_key)
    VALUES (instance_id, signal_name, df._signal_data(signal_data), dedupe_key) ON CONFLICT DO NOTHING;
    PERFORM df._wake();
    RETURN 'OK';
END $$;

CREATE OR REPLACE FUNCTION df.signal(
    instance_id text, signal_name text, signal_data jsonb, dedupe_key text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df.signal(instance_id, signal_name, signal_data::text, dedupe_key) $$;

CREATE OR REPLACE FUNCTION df.signal(
    instance_id text, signal_name text, signal_data json, dedupe_key text DEFAULT NULL) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df.signal(instance_id, signal_name, signal_data::text, dedupe_key) $$;

-- Whether of the caller's instances with this label that have not ended none waits for such a signal, as far as their plans
-- are known: each plan is looked at once. Locks: none.
CREATE OR REPLACE FUNCTION df._nobody_waits(label text, signal_name text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce(pg_catalog.bool_and(p.id IS NOT NULL AND signal_name <> ALL (df._signal_names(p.id))), false)
    FROM (SELECT CASE WHEN i.plan_hash IS NOT NULL THEN pg_catalog.min(i.id) END AS id FROM df.instances i
          WHERE i.label = $1 AND i.completed_at IS NULL AND i.submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole
          GROUP BY i.plan_hash) AS p
$$;

-- The same to all instances of the caller with this label that have not ended; gives how many those are.
CREATE OR REPLACE FUNCTION df.signal_all(
    label text, signal_name text, signal_data text DEFAULT '{}', dedupe_key text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    body json;
    many bigint;
BEGIN
    PERFORM df._check_signal('df.signal_all', signal_name, signal_data);
    PERFORM df._check_dedupe_key('df.signal_all', dedupe_key);
    IF label IS NULL THEN
        RAISE EXCEPTION 'df.signal_all: the label is NULL' USING ERRCODE = '22004', DETAIL = 'Nothing was sent.',
            HINT = 'Give the label that the instances were started with.';
    END IF;
    body := df._signal_data(signal_data);
    WITH meant AS MATERIALIZED (
        SELECT i.id FROM df.instances i
        WHERE i.label = label AND i.completed_at IS NULL AND i.submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole
    ), sent AS (
        INSERT INTO df.signals (instance_id, name, data, dedupe_key)
        SELECT m.id, signal_name, body, dedupe_key FROM meant m ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO many FROM meant;
    IF many = 0 THEN
        RAISE WARNING 'no instance with label "%" runs: nobody reads signal "%"', label, signal_name
            USING DETAIL = 'Nothing was sent.', HINT = 'SELECT id, label, status FROM df.instances shows yours.';
    ELSIF df._nobody_waits(label, signal_name) THEN
        RAISE WARNING 'no instance with label "%" waits for a signal "%"', label, signal_name
            USING DETAIL = 'None of their workflows waits for it.',
            HINT = 'It was sent all the same, and goes with the instances when they end. Names are compared exactly.';
    END IF;
    PERFORM df._wake();
    RETURN many;
END $$;

CREATE OR REPLACE FUNCTION df.signal_all(
    label text, signal_name text, signal_data jsonb, dedupe_key text DEFAULT NULL) RETURNS bigint
LANGUAGE sql VOLATILE AS $$ SELECT df.signal_all(label, signal_name, signal_data::text, dedupe_key) $$;

CREATE OR REPLACE FUNCTION df.signal_all(
    label text, signal_name text, signal_data json, dedupe_key text DEFAULT NULL) RETURNS bigint
LANGUAGE sql VOLATILE AS $$ SELECT df.signal_all(label, signal_name, signal_data::text, dedupe_key) $$;

-- A signal wakes its instance. SECURITY DEFINER: nobody else may. Locks: none.
CREATE OR REPLACE FUNCTION df._after_signal() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO df.requests (instance_id, kind) SELECT DISTINCT n.instance_id, 'wake' FROM new_signals n;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER after_signal AFTER INSERT ON df.signals
REFERENCING NEW TABLE AS new_signals FOR EACH STATEMENT EXECUTE FUNCTION df._after_signal();
