-- Which pending instances start now: of what is ready, by priority (the higher first), then age.
--
-- Pending instances come in groups, those of a role in a queue. A group is found by one look into an index, so that what
-- nobody here serves costs one look, whatever its number. Where there are several groups, a look at the first of each says
-- how many each of them gets; only that many are locked, so that another worker finds the rest.
-- What has a concurrency key and finds it full is held: it is not ready any more, until an instance ends under the key.
-- Who decides about a key holds its lane (df.key_locks) to the end of its transaction. So whoever comes next sees what was
-- decided: what runs, and what is held.
-- Called from functions that pin search_path.

-- Takes the lane of a key; false: another claim has it, and decides. Locks: the lane FOR NO KEY UPDATE SKIP LOCKED.
CREATE OR REPLACE FUNCTION df._take_lane(submitter regrole, key text) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM FROM df.key_locks l
    WHERE l.lane = (hashtextextended(submitter::oid::text || ' ' || key, 0) & 1023)::integer FOR NO KEY UPDATE SKIP LOCKED;
    RETURN FOUND;
END $$;

-- Of instances that are locked, those that may run: all without a key, and as many of each key as its limit leaves room for
-- beside what runs and what has been chosen before. Each counts with its own limit: one that was started with a higher one
-- passes those that were started with a lower one. The rest of a key that is full is held, some hundreds at a time.
-- Locks: lanes; the instances that become held FOR NO KEY UPDATE SKIP LOCKED.
CREATE OR REPLACE FUNCTION df._under_keys(fresh text[], chosen text[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    kept text[] := ARRAY(SELECT i.id FROM df.instances i WHERE i.id = ANY (fresh) AND i.concurrency_key IS NULL);
    k record;
    room bigint;
    full_ids text[] COLLATE "default";
BEGIN
    FOR k IN
        SELECT i.submitted_by, i.concurrency_key AS key, array_agg(i.id ORDER BY i.priority DESC, i.id) AS ids,
               array_agg(i.concurrency_limit ORDER BY i.priority DESC, i.id) AS limits
        FROM df.instances i WHERE i.id = ANY (fresh) AND i.concurrency_key IS NOT NULL
        GROUP BY i.submitted_by, i.concurrency_key
    LOOP
        CONTINUE WHEN NOT df._take_lane(k.submitted_by, k.key);
        room := - (SELECT count(*) FROM df.fences f WHERE f.submitted_by = k.submitted_by AND f.concurrency_key = k.key)
                - (SELECT count(*) FROM df.instances i
                   WHERE i.id = ANY (chosen) AND i.submitted_by = k.submitted_by AND i.concurrency_key = k.key);
        full_ids := '{}';
        FOR n IN 1 .. cardinality(k.ids) LOOP
            IF room + k.limits[n] > 0 THEN
                kept := kept || k.ids[n];
                room := room - 1;
            ELSE
                full_ids := full_ids || k.ids[n];
            END IF;
        END LOOP;
        CONTINUE WHEN full_ids = '{}';
        UPDATE df.instances i SET ready = false, held = true, waiting_for = 'others with concurrency_key ' || k.key
        WHERE i.id = ANY (full_ids || ARRAY(
            SELECT h.id FROM df.instances h
            WHERE h.started_at IS NULL AND h.submitted_by = k.submitted_by AND h.concurrency_key = k.key
              AND h.ready AND room + h.concurrency_limit <= 0 AND h.id <> ALL (k.ids || chosen)
            LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED));
    END LOOP;
    RETURN kept;
END $$;

-- Keys under which something has ended: as many of what is held become ready as there is room for, in each queue.
-- A key whose lane another claim has stays for the next time: what that one decides is not seen yet.
-- Locks: lanes; what is held under them FOR NO KEY UPDATE SKIP LOCKED.
CREATE OR REPLACE FUNCTION df._release() RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    k record;
    running bigint;
BEGIN
    FOR k IN
        SELECT f.submitted_by, f.key, array_agg(f.id) AS ids FROM (SELECT x.* FROM df.freed_keys x ORDER BY x.id LIMIT 100) AS f
        GROUP BY f.submitted_by, f.key
    LOOP
        CONTINUE WHEN NOT df._take_lane(k.submitted_by, k.key);
        SELECT count(*) INTO running FROM df.fences f WHERE f.submitted_by = k.submitted_by AND f.concurrency_key = k.key;
        UPDATE df.instances i SET ready = true, held = false, waiting_for = NULL
        FROM (SELECT h.id, h.concurrency_limit, row_number() OVER (PARTITION BY h.queue ORDER BY h.priority DESC, h.id) AS n
              FROM (SELECT y.id, y.concurrency_limit, y.queue, y.priority FROM df.instances y
                    WHERE y.started_at IS NULL AND y.submitted_by = k.submitted_by AND y.concurrency_key = k.key AND y.held
                      AND NOT y.paused
                    ORDER BY y.priority DESC, y.id LIMIT 1000
                    FOR NO KEY UPDATE SKIP LOCKED) AS h) AS h
        WHERE i.id = h.id AND h.n <= h.concurrency_limit - running;
        DELETE FROM df.freed_keys f WHERE f.id = ANY (k.ids);
    END LOOP;
END $$;

-- The groups with something ready that are served. Locks: none.
CREATE OR REPLACE FUNCTION df._groups(submitters oid[], queues text[], OUT of_submitters regrole[], OUT of_queues text[])
LANGUAGE plpgsql STABLE AS $$
DECLARE
    g record;
BEGIN
    SELECT i.submitted_by AS submitter, i.queue INTO g FROM df.instances i
    WHERE i.started_at IS NULL AND i.ready AND NOT i.paused ORDER BY i.submitted_by, i.queue LIMIT 1;
    WHILE FOUND LOOP
        IF (submitters IS NULL OR g.submitter::oid = ANY (submitters)) AND (queues IS NULL OR g.queue = ANY (queues)) THEN
            of_submitters := of_submitters || g.submitter;
            of_queues := of_queues || g.queue;
        END IF;
        SELECT i.submitted_by AS submitter, i.queue INTO g FROM df.instances i
        WHERE i.started_at IS NULL AND i.ready AND NOT i.paused AND (i.submitted_by, i.queue) > (g.submitter, g.queue)
        ORDER BY i.submitted_by, i.queue LIMIT 1;
    END LOOP;
END $$;

-- Of several groups, how many each of them gets: what stands first among all. Locks: none.
CREATE OR REPLACE FUNCTION df._shares(submitters regrole[], queues text[], quota integer) RETURNS integer[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN ARRAY(
        SELECT coalesce(s.share, 0)::integer FROM generate_subscripts(submitters, 1) AS n
        LEFT JOIN (
            SELECT p.n, count(*) AS share FROM (
                SELECT g.n, f.priority, f.id
                FROM unnest(submitters, queues) WITH ORDINALITY AS g(submitter, queue, n), LATERAL (
                    SELECT i.priority, i.id FROM df.instances i
                    WHERE i.started_at IS NULL AND i.ready AND NOT i.paused AND i.submitted_by = g.submitter AND i.queue = g.queue
                    ORDER BY i.priority DESC, i.id LIMIT quota) AS f
                ORDER BY f.priority DESC, f.id LIMIT quota) AS p
            GROUP BY p.n) AS s ON s.n = n.n
        ORDER BY n.n);
END $$;

-- Their ids; `formats` as in df._is_readable; `submitters` and `queues` are those served (null: all). What is to be
-- cancelled (`stopped`) comes first: it ends at once, whoever serves its queue. Where keys are full others take the place
-- of what is held, for a few rounds.
-- Where the look at all takes long, most looks are at what was started lately (looks.sql).
-- Locks: the instances FOR NO KEY UPDATE SKIP LOCKED, and see df._under_keys.
CREATE OR REPLACE FUNCTION df._choose(submitters oid[], queues text[], formats integer[], stopped text[], quota integer) RETURNS text[]
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    chosen text[] := '{}';
    seen text[] := '{}';
    fresh text[];
    keys text[];
    groups record;
    number integer;
    rooms integer[];
    moment timestamptz;
    before bigint;
    near record;
    filled boolean;
    lately text;
    about constant text := concat_ws(' ', submitters::text, queues::text, formats::text);
    place text;
BEGIN
    IF cardinality(stopped) > 0 THEN
        chosen := ARRAY(SELECT i.id FROM df.instances i
                        WHERE i.id = ANY (stopped) AND i.started_at IS NULL AND i.ready
                          AND (submitters IS NULL OR i.submitted_by::oid = ANY (submitters))
                        LIMIT quota FOR NO KEY UPDATE SKIP LOCKED);
        seen := chosen;
    END IF;
    moment := clock_timestamp();
    -- Whoever takes an id commits it a little later.
    lately := df._first_id(moment - interval '0.25 s');
    place := df._look_from('pending', about, moment);
    IF place IS NOT NULL THEN
        near := df._choose_near(place, submitters, queues, formats, quota - cardinality(chosen));
        PERFORM df._look_on_from('pending', about, moment, place, greatest(place, least(near.first, lately)));
        keys := near.keys;
        filled := coalesce(cardinality(near.fresh), 0) >= quota - cardinality(chosen);
        seen := seen || near.fresh;
        chosen := chosen || CASE WHEN cardinality(array_remove(keys, NULL)) > 0 THEN df._under_keys(near.fresh, chosen)
                                 ELSE near.fresh END;
        IF filled OR current_setting('df.look_behind', true) IS DISTINCT FROM 'on' THEN
            RETURN chosen;
        END IF;
        moment := clock_timestamp();
    END IF;
    before := pg_stat_get_xact_tuples_returned('df.instances_pending'::regclass);
    groups := df._groups(submitters, queues);
    number := coalesce(cardinality(groups.of_queues), 0);
    IF number > 1 THEN
        rooms := df._shares(groups.of_submitters, groups.of_queues, quota - cardinality(chosen));
    END IF;
    FOR round IN 1 .. 4 LOOP
        FOR n IN 1 .. number LOOP
            EXIT WHEN cardinality(chosen) >= quota;
            SELECT array_agg(c.id), array_agg(c.concurrency_key) INTO fresh, keys FROM (
                SELECT i.id, i.concurrency_key FROM df.instances i
                WHERE i.started_at IS NULL AND i.ready AND NOT i.paused AND i.submitted_by = groups.of_submitters[n] AND i.queue = groups.of_queues[n]
                  AND (i.plan IS NULL AND (0 = ANY (formats)) IS NOT TRUE OR (i.plan ->> 'format')::integer = ANY (formats)) AND i.id <> ALL (seen)
                ORDER BY i.priority DESC, i.id
                LIMIT least(coalesce(rooms[n], quota), quota - cardinality(chosen))
                FOR NO KEY UPDATE SKIP LOCKED) AS c;
            CONTINUE WHEN fresh IS NULL;
            seen := seen || fresh;
            chosen := chosen || CASE WHEN cardinality(array_remove(keys, NULL)) = 0 THEN fresh ELSE df._under_keys(fresh, chosen) END;
        END LOOP;
        -- Nothing was held, or left to another claim: what there is has been chosen, or enough of it.
        EXIT WHEN cardinality(seen) = cardinality(chosen) OR cardinality(chosen) >= quota;
        rooms := NULL;
    END LOOP;
    IF df._look_was_long(moment, pg_stat_get_xact_tuples_returned('df.instances_pending'::regclass) - before) THEN
        -- Others of a lower priority may stand before what was chosen.
        filled := cardinality(chosen) >= quota;
        PERFORM set_config('df.look_behind', CASE WHEN filled THEN 'on' ELSE 'off' END, false);
        SELECT CASE WHEN filled THEN min(c.id) END INTO place FROM unnest(chosen) AS c(id);
        PERFORM df._look_on_from('pending', about, moment, NULL, least(place, lately));
    ELSIF place IS NOT NULL THEN
        PERFORM set_config('df.look_pending', '', false);
    END IF;
    RETURN chosen;
END $$;
