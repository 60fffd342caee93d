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
        WHERE i.started_at IS NULL AND i.ready AND i.submitted_by = submitter AND i.concurrency_key = key
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

-- The groups that a worker may take from; key is null of those without, room is how many of the group may start.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._groups(submitters oid[], queues text[], quota integer)
RETURNS TABLE (submitter oid, queue text, key text, room integer)
LANGUAGE sql VOLATILE AS $$
    WITH RECURSIVE plain AS (
        (SELECT i.submitted_by::oid AS submitter, i.queue FROM df.instances i
         WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NULL
         ORDER BY i.submitted_by, i.queue LIMIT 1)
        UNION ALL
        SELECT n.submitter, n.queue FROM plain p, LATERAL (
            SELECT i.submitted_by::oid AS submitter, i.queue FROM df.instances i
            WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NULL
              AND (i.submitted_by, i.queue) > (p.submitter::regrole, p.queue)
            ORDER BY i.submitted_by, i.queue LIMIT 1) AS n
    ), keyed AS (
        (SELECT i.submitted_by::oid AS submitter, i.concurrency_key AS key, i.concurrency_limit AS most FROM df.instances i
         WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NOT NULL
         ORDER BY i.submitted_by, i.concurrency_key, i.priority DESC, i.id LIMIT 1)
        UNION ALL
        SELECT n.submitter, n.key, n.most FROM keyed k, LATERAL (
            SELECT i.submitted_by::oid AS submitter, i.concurrency_key AS key, i.concurrency_limit AS most FROM df.instances i
            WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NOT NULL
              AND (i.submitted_by, i.concurrency_key) > (k.submitter::regrole, k.key)
            ORDER BY i.submitted_by, i.concurrency_key, i.priority DESC, i.id LIMIT 1) AS n
    )
    SELECT p.submitter, p.queue, NULL, quota FROM plain p
    WHERE (submitters IS NULL OR p.submitter = ANY (submitters)) AND (queues IS NULL OR p.queue = ANY (queues))
    UNION ALL
    SELECT k.submitter, NULL, k.key, least(k.most - r.running, quota)::integer
    FROM keyed k, LATERAL (
        SELECT count(*) AS running FROM (
            SELECT FROM df.fences f WHERE f.submitted_by = k.submitter AND f.concurrency_key = k.key LIMIT k.most) AS f) AS r
    WHERE (submitters IS NULL OR k.submitter = ANY (submitters)) AND r.running < k.most
$$;

-- Their ids; `submitters` and `queues` are those served (null: all). What is to be cancelled comes first: it ends at once.
-- Locks: the instances FOR NO KEY UPDATE SKIP LOCKED, and see df._choose_keyed.
CREATE OR REPLACE FUNCTION df._choose(submitters oid[], queues text[], formats integer[], quota integer) RETURNS text[]
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    most constant integer := quota;
    stopped text[] := ARRAY(SELECT r.instance_id FROM df.requests r WHERE r.kind = 'cancel');
    found text[] := '{}';
    groups record;
    keyed record;
BEGIN
    IF cardinality(stopped) > 0 THEN
        found := ARRAY(SELECT i.id FROM df.instances i
                       WHERE i.id = ANY (stopped) AND i.started_at IS NULL AND i.ready
                         AND (submitters IS NULL OR i.submitted_by::oid = ANY (submitters))
                       LIMIT most FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    SELECT array_agg(g.submitter) AS submitters, array_agg(g.queue) AS queues, array_agg(g.key) AS keys,
           array_agg(g.room) AS rooms, count(*) AS number INTO groups
    FROM df._groups(submitters, queues, most - cardinality(found)) AS g;
    IF groups.number > 1 THEN
        SELECT array_agg(s.submitter) AS submitters, array_agg(s.queue) AS queues, array_agg(s.key) AS keys,
               array_agg(s.share) AS rooms, count(*) AS number INTO groups
        FROM (
            SELECT p.submitter, p.queue, p.key, count(*)::integer AS share FROM (
                SELECT g.submitter, g.queue, g.key, f.priority, f.id
                FROM unnest(groups.submitters, groups.queues, groups.keys, groups.rooms) AS g(submitter, queue, key, room),
                     LATERAL df._first(g.submitter, g.queue, g.key, queues, g.room) AS f
                ORDER BY f.priority DESC, f.id LIMIT most - cardinality(found)) AS p
            GROUP BY p.submitter, p.queue, p.key) AS s;
    END IF;
    found := found || ARRAY(
        SELECT c.id FROM unnest(groups.submitters, groups.queues, groups.keys, groups.rooms) AS g(submitter, queue, key, room),
        LATERAL (
            SELECT i.id FROM df.instances i
            WHERE i.started_at IS NULL AND i.ready AND i.concurrency_key IS NULL
              AND i.submitted_by = g.submitter AND i.queue = g.queue
              AND (i.plan IS NULL OR (i.plan ->> 'format')::integer = ANY (formats))
            ORDER BY i.priority DESC, i.id LIMIT g.room
            FOR NO KEY UPDATE SKIP LOCKED) AS c
        WHERE g.key IS NULL);
    FOR keyed IN
        SELECT g.* FROM unnest(groups.submitters, groups.keys, groups.rooms) AS g(submitter, key, room) WHERE g.key IS NOT NULL
    LOOP
        found := found || df._choose_keyed(keyed.submitter, keyed.key, queues, formats, keyed.room);
    END LOOP;
    RETURN found;
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
