-- Which pending instances start now: of what is ready, by priority (the higher first), then age.
--
-- Pending instances come in groups: those of a role in a queue, and those of a role under a concurrency key. The
-- groups are found by one look into an index each, so that what nobody here serves costs one look, whatever its number,
-- and so does a key that is full. Where there are several groups, a look at the first of each says how many each of
-- them gets; only that many are locked, so that another worker finds the rest.
-- Called from functions that pin search_path.

-- The instances of one key that may run beside those that run: as many as the limit of the next one leaves room for.
-- Who decides about a key holds its lane; who does not get it leaves the key to whoever has it.
-- Locks: the key's lane, then the instances, both FOR NO KEY UPDATE SKIP LOCKED.
CREATE OR REPLACE FUNCTION df._choose_keyed(
    submitter oid, key text, queues text[], formats integer[], quota integer) RETURNS text[]
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    taken text[] := '{}';
    running bigint;
    candidate record;
BEGIN
    PERFORM FROM df.key_locks l
    WHERE l.lane = (hashtextextended(submitter::text || ' ' || key, 0) & 63)::integer FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN taken;
    END IF;
    SELECT count(*) INTO running FROM df.fences f WHERE f.submitted_by = submitter AND f.concurrency_key = key;
    FOR candidate IN
        SELECT i.id, i.concurrency_limit FROM df.instances i
        WHERE i.started_at IS NULL AND i.ready AND i.submitted_by = submitter::regrole AND i.concurrency_key = key
          AND (queues IS NULL OR i.queue = ANY (queues))
          AND (i.plan IS NULL OR (i.plan ->> 'format')::integer = ANY (formats))
        ORDER BY i.priority DESC, i.id LIMIT quota
        FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        EXIT WHEN running >= candidate.concurrency_limit;
        taken := taken || candidate.id;
        running := running + 1;
    END LOOP;
    RETURN taken;
END $$;

-- The groups with something pending: roles and queues; roles and keys, and how many more of a key may run (null: it has
-- none, `quota`). One look into an index each, and one more. Locks: none.
CREATE OR REPLACE FUNCTION df._groups(submitters oid[], queues text[], quota integer,
    OUT of_submitters oid[], OUT of_queues text[], OUT of_keys text[], OUT rooms integer[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
    g record;
    running bigint;
BEGIN
    SELECT i.submitted_by AS submitter, i.queue INTO g FROM df.instances i
    WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NULL ORDER BY i.submitted_by, i.queue LIMIT 1;
    WHILE FOUND LOOP
        IF (submitters IS NULL OR g.submitter::oid = ANY (submitters)) AND (queues IS NULL OR g.queue = ANY (queues)) THEN
            of_submitters := of_submitters || g.submitter::oid;
            of_queues := of_queues || g.queue;
            of_keys := of_keys || NULL::text;
            rooms := rooms || quota;
        END IF;
        SELECT i.submitted_by AS submitter, i.queue INTO g FROM df.instances i
        WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NULL
          AND (i.submitted_by, i.queue) > (g.submitter, g.queue) ORDER BY i.submitted_by, i.queue LIMIT 1;
    END LOOP;
    SELECT i.submitted_by AS submitter, i.concurrency_key AS key, i.concurrency_limit AS most INTO g FROM df.instances i
    WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NOT NULL
    ORDER BY i.submitted_by, i.concurrency_key, i.priority DESC, i.id LIMIT 1;
    WHILE FOUND LOOP
        IF submitters IS NULL OR g.submitter::oid = ANY (submitters) THEN
            SELECT count(*) INTO running FROM (
                SELECT FROM df.fences f WHERE f.submitted_by = g.submitter AND f.concurrency_key = g.key LIMIT g.most) AS f;
            IF running < g.most THEN
                of_submitters := of_submitters || g.submitter::oid;
                of_queues := of_queues || NULL::text;
                of_keys := of_keys || g.key;
                rooms := rooms || least(g.most - running, quota)::integer;
            END IF;
        END IF;
        SELECT i.submitted_by AS submitter, i.concurrency_key AS key, i.concurrency_limit AS most INTO g FROM df.instances i
        WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NOT NULL
          AND (i.submitted_by, i.concurrency_key) > (g.submitter, g.key)
        ORDER BY i.submitted_by, i.concurrency_key, i.priority DESC, i.id LIMIT 1;
    END LOOP;
END $$;

-- Of several groups, how many each of them gets: what stands first among all. Locks: none.
CREATE OR REPLACE FUNCTION df._shares(submitters oid[], names text[], keys text[], rooms integer[], queues text[], quota integer)
RETURNS integer[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(
        SELECT coalesce(s.share, 0)::integer FROM generate_subscripts(submitters, 1) AS n
        LEFT JOIN (
            SELECT p.n, count(*) AS share FROM (
                SELECT g.n, f.priority, f.id
                FROM unnest(submitters, names, keys, rooms) WITH ORDINALITY AS g(submitter, name, key, room, n),
                     LATERAL df._first(g.submitter, g.name, g.key, queues, g.room) AS f
                ORDER BY f.priority DESC, f.id LIMIT quota) AS p
            GROUP BY p.n) AS s ON s.n = n.n
        ORDER BY n.n);
END $$;

-- Their ids; `submitters` and `queues` are those served (null: all). What is to be cancelled (`stopped`) comes first: it ends
-- at once, whoever serves its queue. Locks: the instances FOR NO KEY UPDATE SKIP LOCKED, and see df._choose_keyed.
CREATE OR REPLACE FUNCTION df._choose(submitters oid[], queues text[], formats integer[], stopped text[], quota integer) RETURNS text[]
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    chosen text[] := '{}';
    groups record;
    number integer;
BEGIN
    IF cardinality(stopped) > 0 THEN
        chosen := ARRAY(SELECT i.id FROM df.instances i
                        WHERE i.id = ANY (stopped) AND i.started_at IS NULL AND i.ready
                          AND (submitters IS NULL OR i.submitted_by::oid = ANY (submitters))
                        LIMIT quota FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    groups := df._groups(submitters, queues, quota - cardinality(chosen));
    number := coalesce(cardinality(groups.rooms), 0);
    IF number > 1 THEN
        groups.rooms := df._shares(groups.of_submitters, groups.of_queues, groups.of_keys, groups.rooms, queues,
                                   quota - cardinality(chosen));
    END IF;
    FOR n IN 1 .. number LOOP
        IF groups.rooms[n] = 0 THEN
            CONTINUE;
        ELSIF groups.of_keys[n] IS NULL THEN
            chosen := chosen || ARRAY(
                SELECT i.id FROM df.instances i
                WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NULL
                  AND i.submitted_by = groups.of_submitters[n]::regrole AND i.queue = groups.of_queues[n]
                  AND (i.plan IS NULL OR (i.plan ->> 'format')::integer = ANY (formats))
                ORDER BY i.priority DESC, i.id LIMIT groups.rooms[n]
                FOR NO KEY UPDATE SKIP LOCKED);
        ELSE
            chosen := chosen || df._choose_keyed(groups.of_submitters[n], groups.of_keys[n], queues, formats, groups.rooms[n]);
        END IF;
    END LOOP;
    RETURN chosen;
END $$;

-- The first few of a group, without a lock. Locks: none.
CREATE OR REPLACE FUNCTION df._first(submitter oid, queue text, key text, queues text[], quota integer)
RETURNS TABLE (priority integer, id text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    IF $3 IS NULL THEN
        RETURN QUERY
        SELECT i.priority, i.id FROM df.instances i
        WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NULL AND i.submitted_by = $1 AND i.queue = $2
        ORDER BY i.priority DESC, i.id LIMIT $5;
    ELSE
        RETURN QUERY
        SELECT i.priority, i.id FROM df.instances i
        WHERE i.started_at IS NULL AND i.ready AND i.submitted_by = $1 AND i.concurrency_key = $3
          AND ($4 IS NULL OR i.queue = ANY ($4))
        ORDER BY i.priority DESC, i.id LIMIT $5;
    END IF;
END $$;
