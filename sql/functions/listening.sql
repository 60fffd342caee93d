-- What a step of an instance that waits for news asks: whether there is some, which is then recorded. Each takes the
-- instance's wake-ups away first, so that what commits meanwhile wakes it again. What they were about may be for others
-- of the instance, that have asked before it came: whoever has taken one away has them ask again. journal null: there is
-- none yet, and `finished` says whether a wake-up was taken away.
-- Raises DX001 for a lost fence, DX002 when the path has a record. Locks: the fence, then what the record locks; of
-- another instance the row, shared, when it is first asked about, so that its end is either seen then or sees who waits.

-- Takes the wake-ups away. Whether there were some.
CREATE OR REPLACE FUNCTION df._take_wakes(token bytea, instance text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM df._lock_fence($1, $2);
    DELETE FROM df.requests r WHERE r.instance_id = $2 AND r.kind = 'wake';
    RETURN FOUND;
END $$;

-- The first signal of this name; with `expired` it is recorded that there was none.
CREATE OR REPLACE FUNCTION df._take_signal(
    token bytea, instance text, path text, name text, expired boolean, rider json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text, OUT value json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    look bigint;
    first df.signals;
BEGIN
    finished := df._take_wakes($1, $2);
    IF EXISTS (SELECT FROM df.signals s WHERE s.instance_id = $2 AND s.seen IS NULL AND NOT s.taken) THEN
        look := nextval('df.journal');
        UPDATE df.signals s SET seen = look WHERE s.instance_id = $2 AND s.seen IS NULL AND NOT s.taken;
    END IF;
    SELECT * INTO first FROM df.signals s
    WHERE s.instance_id = $2 AND s.name = $4 AND NOT s.taken ORDER BY s.seen, s.id LIMIT 1;
    IF first.id IS NULL AND NOT $5 THEN
        RETURN;
    ELSIF first.dedupe_key IS NULL THEN
        DELETE FROM df.signals s WHERE s.id = first.id;
    ELSE
        UPDATE df.signals s SET taken = true, data = 'null' WHERE s.id = first.id;
    END IF;
    -- As jsonb is written, the keys in the order that people read.
    value := format('{"signal_name": %s, "timed_out": %s, "data": %s}',
                    to_json($4), to_json(first.id IS NULL), coalesce(first.data::text, 'null'))::json;
    SELECT r.journal, r.finished, r.cancel_reason INTO journal, finished, cancel_reason
    FROM df._record($1, $2, $3, 'completed', value, NULL, $6) AS r;
END $$;

-- How another instance has ended, as a step that waits for it sees it: null where it has not.
CREATE OR REPLACE FUNCTION df._ended(instance text, OUT status text, OUT result json, OUT error json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT i.status, i.result, i.error INTO status, result, error
    FROM (SELECT o.status, o.result, o.error FROM df.instances o WHERE o.id = $1 AND o.completed_at IS NOT NULL
          UNION ALL SELECT a.status, a.result, a.error FROM df.archived a WHERE a.id = $1) AS i;
END $$;

-- How the instance `other` has ended, of those that the submitter may see.
CREATE OR REPLACE FUNCTION df._await_instance(
    token bytea, instance text, path text, other text, expired boolean, rider json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text, OUT value json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    how record;
    now_status text;
BEGIN
    finished := df._take_wakes($1, $2);
    SELECT o.status INTO now_status
    FROM df.instances i, LATERAL (
        SELECT n.status, n.submitted_by FROM df.instances n WHERE n.id = $4
        UNION ALL SELECT a.status, a.submitted_by FROM df.archived a WHERE a.id = $4) AS o
    WHERE i.id = $2 AND pg_has_role(i.submitted_by::oid, o.submitted_by::oid, 'USAGE');
    IF NOT FOUND THEN
        PERFORM df._refuse_unknown($4, 'A step can wait for instances of its own submitter.');
    ELSIF $4 = $2 THEN
        RAISE EXCEPTION 'the instance would wait for its own end' USING ERRCODE = '22023',
            DETAIL = 'It ends when all its steps have, and this one would never.', HINT = 'Give the id of another instance.';
    ELSIF $4 IN (SELECT df._callers($2)) THEN
        RAISE EXCEPTION 'the instance would wait for the end of the one that has called it' USING ERRCODE = '22023',
            DETAIL = 'That one waits for this one: neither would ever end.', HINT = 'Give the id of another instance.';
    END IF;
    IF NOT EXISTS (SELECT FROM df.marks k WHERE k.instance_id = $2 AND k.path = $3 || '/awaited') THEN
        PERFORM FROM df.instances o WHERE o.id = $4 FOR SHARE;
        INSERT INTO df.marks (instance_id, path, kind, other) VALUES ($2, $3 || '/awaited', 'awaited', $4);
    END IF;
    how := df._ended($4);
    IF how.status IS NULL AND NOT $5 THEN
        RETURN;
    END IF;
    value := json_build_object('instance_id', $4, 'status', coalesce(how.status, now_status), 'result', how.result,
                               'error', how.error, 'timed_out', how.status IS NULL);
    SELECT r.journal, r.finished, r.cancel_reason INTO journal, finished, cancel_reason
    FROM df._record($1, $2, $3, 'completed', value, NULL, $6) AS r;
END $$;

-- Rows that an instance has given are rows for who has called it, too: they take the place of their JSON. Whether they did.
CREATE OR REPLACE FUNCTION df._take_rows(instance text, path text, other text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE df.checkpoints mine SET value = NULL, columns = c.columns, types = c.types, cells = c.cells, row_count = c.row_count
    FROM df.instances o JOIN df.checkpoints c ON c.instance_id = o.id AND c.path = o.result_path AND c.row_count IS NOT NULL
    WHERE o.id = $3 AND mine.instance_id = $1 AND mine.path = $2;
    RETURN FOUND;
END $$;

-- What the workflow that a call has started has come to; it is started where `child` says that it was not. `error` is that
-- of a child that has not completed; nothing is recorded then.
CREATE OR REPLACE FUNCTION df._call(
    token bytea, instance text, path text, child text, workflow text, input jsonb, rider json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text, OUT value json, OUT error json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    started text;
    how record;
BEGIN
    finished := df._take_wakes($1, $2);
    started := (SELECT k.other FROM df.marks k WHERE k.instance_id = $2 AND k.path = $4);
    IF started IS NULL THEN
        started := df._start_child($1, $2, $4, $5, $6);
    END IF;
    how := df._ended(started);
    IF how.status IS NULL THEN
        RETURN;
    ELSIF how.status = 'completed' THEN
        value := coalesce(how.result, 'null');
        SELECT r.journal, r.finished, r.cancel_reason INTO journal, finished, cancel_reason
        FROM df._record($1, $2, $3, 'completed', value, NULL, $7) AS r;
        IF df._take_rows($2, $3, started) THEN
            value := NULL;
        END IF;
    ELSE
        error := json_build_object('message', format('workflow %s (instance %s) %s: %s', $5, started,
                                       CASE how.status WHEN 'failed' THEN 'has failed' WHEN 'cancelled' THEN 'was cancelled'
                                                       ELSE 'was compensated' END, how.error ->> 'message'),
                                   'sqlstate', coalesce(how.error ->> 'sqlstate', 'P0001'), 'cause', how.error);
    END IF;
END $$;

-- Ends what a call has started: `ended` false while it runs, after it has been asked to end. Where it has completed all the
-- same, its result is recorded. May be asked once more.
CREATE OR REPLACE FUNCTION df._stop_call(
    token bytea, instance text, path text, OUT ended boolean, OUT journal bigint, OUT value json)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    started text;
    how record;
BEGIN
    PERFORM df._take_wakes($1, $2);
    started := (SELECT k.other FROM df.marks k
                WHERE k.instance_id = $2 AND k.kind = 'child' AND starts_with(k.path, $3 || '/child')
                ORDER BY length(k.path) DESC, k.path DESC LIMIT 1);
    how := df._ended(started);
    ended := started IS NULL OR how.status IS NOT NULL;
    IF NOT ended THEN
        INSERT INTO df.requests (instance_id, kind, reason)
        SELECT started, 'cancel', 'the instance that has called it has stopped waiting'
        WHERE NOT EXISTS (SELECT FROM df.requests r WHERE r.instance_id = started AND r.kind = 'cancel');
        PERFORM df._wake();
    ELSIF how.status = 'completed' THEN
        value := coalesce(how.result, 'null');
        -- An answer may have been lost: then it is asked once more.
        journal := (SELECT c.journal FROM df.checkpoints c WHERE c.instance_id = $2 AND c.path = $3);
        IF journal IS NULL THEN
            SELECT r.journal INTO journal FROM df._record($1, $2, $3, 'completed', value, NULL, NULL) AS r;
            PERFORM df._take_rows($2, $3, started);
        END IF;
    END IF;
END $$;
