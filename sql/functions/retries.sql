-- Letting an instance that has failed go on from where it failed (docs/adr/0028-what-a-retry-forgets.md).

-- A row in the caller's transaction, carried out by the next claim. Raises P0002 where there is no such instance, 55000
-- for one that has not failed, and for one that has undone what it had done, as far as it could. Locks: none (see df._wake).
CREATE OR REPLACE FUNCTION df.retry_instance(instance_id text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    said text;
    problem json;
BEGIN
    SELECT df.status(i.id), i.error INTO said, problem FROM df.instances i WHERE i.id = instance_id;
    IF NOT FOUND THEN
        PERFORM df._refuse_unknown(instance_id, 'Nothing was changed.');
    ELSIF EXISTS (SELECT FROM df.requests r WHERE r.instance_id = instance_id AND r.kind = 'retry') THEN
        RAISE NOTICE 'instance % is about to be retried already', instance_id USING HINT = 'Nothing was changed.';
    ELSIF said IN ('completed', 'cancelled', 'compensated') THEN
        RAISE EXCEPTION 'instance % has not failed: it was %', instance_id, said USING ERRCODE = '55000',
            DETAIL = 'A retry goes on from a step that has failed.'
                     || CASE WHEN said = 'compensated' THEN ' What this one had done has been undone.' ELSE '' END,
            HINT = 'A new instance can begin at a step of this one: SELECT df.fork_instance('
                   || pg_catalog.quote_literal(instance_id) || ', ''<step>'').';
    ELSIF said <> 'failed' THEN
        RAISE EXCEPTION 'instance % has not failed: it is %', instance_id, said USING ERRCODE = '55000',
            DETAIL = 'A retry goes on from a step that has failed.',
            HINT = CASE said WHEN 'paused' THEN 'Let it go on: SELECT df.resume_instance(' || pg_catalog.quote_literal(instance_id) || ').'
                             ELSE 'Wait for its end, or end it with df.cancel.' END;
    ELSIF problem -> 'undo' IS NOT NULL THEN
        RAISE EXCEPTION 'instance % cannot be retried: undo steps of it have run, and not all of them succeeded', instance_id
            USING ERRCODE = '55000', DETAIL = 'What it had done is neither there nor gone: its error has them under "undo".',
            HINT = 'Put right by hand what is left, then begin anew at a step: SELECT df.fork_instance('
                   || pg_catalog.quote_literal(instance_id) || ', ''<step>'').';
    ELSE
        INSERT INTO df.requests (instance_id, kind) VALUES (instance_id, 'retry');
        PERFORM df._wake();
    END IF;
    RETURN pg_catalog.format('Instance %s retried', instance_id) || coalesce(' from ' || nullif(problem ->> 'step', ''), '');
END $$;

-- Makes instances pending again that are to be retried: the next who claims one begins with forgetting what led to its
-- failure (df._begin_again). What a request asks of any other instance counts for nothing. What its steps left in other
-- databases is told apart from what they will do there now: that gets another key.
-- Locks: the instances FOR UPDATE SKIP LOCKED, then what is left elsewhere. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._take_up_retries() RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    asked text[];
    free text[];
    last bigint;
BEGIN
    SELECT array_agg(DISTINCT r.instance_id), max(r.id) INTO asked, last FROM df.requests r WHERE r.kind = 'retry';
    free := ARRAY(SELECT i.id FROM df.instances i WHERE i.id = ANY (asked) FOR UPDATE SKIP LOCKED);
    WITH again AS (
        UPDATE df.instances i
        SET status = 'pending', started_at = NULL, completed_at = NULL, error = NULL, ready = true, retrying = true,
            updated_at = clock_timestamp()
        WHERE i.id = ANY (free) AND i.status = 'failed' AND i.error -> 'undo' IS NULL
        RETURNING i.id, i.attempt)
    UPDATE df.elsewhere e SET instance_id = a.id || ' before attempt ' || a.attempt + 1
    FROM again a WHERE e.instance_id = a.id;
    DELETE FROM df.requests r
    WHERE r.kind = 'retry' AND r.id <= last
      AND (r.instance_id = ANY (free) OR NOT EXISTS (SELECT FROM df.instances i WHERE i.id = r.instance_id));
END $$;

-- Forgets what led to the failure of an instance that is retried: these records, and of these maps the outcomes of the
-- items that failed, with all that is recorded in them. Again: nothing happens.
-- Raises DX001 for a lost fence. Locks: the fence, then the instance, then what is forgotten.
CREATE OR REPLACE FUNCTION df._begin_again(token bytea, instance text, paths text[], maps text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    m record;
    bad bigint[];
    inside text;
    kept text[];
BEGIN
    PERFORM df._lock_fence($1, $2);
    UPDATE df.instances i SET retrying = false WHERE i.id = $2 AND i.retrying;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR m IN SELECT s.map, s.path FROM df.maps s WHERE s.instance_id = $2 AND s.path = ANY ($4) LOOP
        bad := ARRAY(SELECT i.item FROM df.map_items i WHERE i.map = m.map AND i.status = 'failed' ORDER BY i.item);
        UPDATE df.map_items i SET status = 'pending', error = NULL WHERE i.map = m.map AND i.item = ANY (bad);
        UPDATE df.maps s SET failed = 0, first_failed = NULL, ended_to = least(s.ended_to, bad[1] - 1) WHERE s.map = m.map;
        inside := m.path || '[';
        PERFORM df._forget($2, ARRAY(
            SELECT f.path FROM (
                SELECT c.path FROM df.checkpoints c WHERE c.instance_id = $2 AND starts_with(c.path, inside)
                UNION SELECT k.path FROM df.marks k WHERE k.instance_id = $2 AND starts_with(k.path, inside)
                UNION SELECT a.path FROM df.attempts_made a WHERE a.instance_id = $2 AND starts_with(a.path, inside)) AS f
            WHERE split_part(substr(f.path, length(inside) + 1), ']', 1)::bigint = ANY (bad)));
    END LOOP;
    -- Without its record a map still has its items, unless that of their number goes as well.
    kept := ARRAY(SELECT s.path FROM df.maps s WHERE s.instance_id = $2 AND s.path = ANY ($3) AND s.path || '/items' <> ALL ($3));
    DELETE FROM df.checkpoints c WHERE c.instance_id = $2 AND c.path = ANY (kept);
    PERFORM df._forget($2, ARRAY(SELECT unnest($3) EXCEPT SELECT unnest(kept)));
    -- Whoever waits for another instance again says so again.
    DELETE FROM df.marks k WHERE k.instance_id = $2 AND k.kind = 'awaited';
END $$;
