-- Looks of a claim that are spared where they cost much (docs/adr/0036-retention.md, "Beside a transaction held open").
--
-- Rows that are gone stay in tables and indexes as long as a transaction may see them. One that is held open for an hour
-- beside the queue would have each claim read all that was claimed in that hour. So a look that took long is made seldom,
-- for a twentieth of the time at most; the looks in between begin where it found the first row, which is remembered in the
-- session. What comes late before that place (a transaction that began earlier commits) is found by the next look at all.
-- A look that is short, as nearly all are, is always one at all.
-- Called from functions that pin search_path.

-- Where a look begins; NULL: with the first. `about`: what it is a look for, so that another one does not begin there.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._look_from(what text, about text, moment timestamptz) RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    kept constant text[] := string_to_array(current_setting('df.look_' || what, true), E'\t');
BEGIN
    -- Not when the clock has been set back meanwhile.
    IF kept[4] IS NOT DISTINCT FROM about AND date_part('epoch', moment) BETWEEN kept[1]::float8 AND kept[2]::float8 THEN
        RETURN kept[3];
    END IF;
    RETURN NULL;
END $$;

-- Whether a look at all that began at `moment`, and for which an index gave so many entries, took so long that the next
-- ones are to begin at a place. A look at little that took long was kept waiting by the machine. Locks: none.
CREATE OR REPLACE FUNCTION df._look_was_long(moment timestamptz, entries bigint) RETURNS boolean
LANGUAGE sql VOLATILE AS $$ SELECT entries > 1000 AND clock_timestamp() - moment > interval '5 ms' $$;

-- The next ones begin at this place: after one at all (`before` is null) until they have taken a twentieth of the time;
-- otherwise that time stays as it is. Locks: none.
CREATE OR REPLACE FUNCTION df._look_on_from(what text, about text, moment timestamptz, before text, place text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    name constant text := 'df.look_' || what;
    now constant timestamptz := clock_timestamp();
    kept constant text[] := CASE WHEN before IS NULL
        THEN ARRAY[date_part('epoch', now)::text, date_part('epoch', now + 20 * (now - moment))::text]
        ELSE string_to_array(current_setting(name), E'\t') END;
BEGIN
    IF before IS DISTINCT FROM place THEN
        PERFORM set_config(name, concat_ws(E'\t', kept[1], kept[2], place, about), false);
    END IF;
END $$;

-- The first request that is there; greater than all where there is none. Locks: none.
CREATE OR REPLACE FUNCTION df._requests_from() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
    moment constant timestamptz := clock_timestamp();
    place constant bigint := df._look_from('requests', '', moment);
    before constant bigint := pg_stat_get_xact_tuples_returned('df.requests_pkey'::regclass);
    first bigint;
BEGIN
    SELECT r.id INTO first FROM df.requests r WHERE r.id >= coalesce(place, 0) ORDER BY r.id LIMIT 1;
    IF place IS NOT NULL OR df._look_was_long(moment, pg_stat_get_xact_tuples_returned('df.requests_pkey'::regclass) - before) THEN
        PERFORM df._look_on_from('requests', '', moment, place::text, coalesce(
            first, greatest(place, (SELECT s.last_value FROM df.requests_id_seq s) - 100))::text);
    END IF;
    RETURN coalesce(first, 9223372036854775807);
END $$;

-- Whether an instance has ended under a key. Locks: none.
CREATE OR REPLACE FUNCTION df._key_is_free() RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off AS $$
DECLARE
    moment constant timestamptz := clock_timestamp();
    place constant bigint := df._look_from('keys', '', moment);
    before constant bigint := pg_stat_get_xact_tuples_returned('df.freed_keys_pkey'::regclass);
    first bigint;
BEGIN
    SELECT f.id INTO first FROM df.freed_keys f WHERE f.id >= coalesce(place, 0) ORDER BY f.id LIMIT 1;
    IF place IS NOT NULL OR df._look_was_long(moment, pg_stat_get_xact_tuples_returned('df.freed_keys_pkey'::regclass) - before) THEN
        PERFORM df._look_on_from('keys', '', moment, place::text, coalesce(
            first, greatest(place, (SELECT s.last_value FROM df.freed_keys_id_seq s) - 100))::text);
    END IF;
    RETURN first IS NOT NULL;
END $$;

-- When the first of what is parked was due; `moment` where nothing is. Locks: none.
CREATE OR REPLACE FUNCTION df._due_from(moment timestamptz) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off AS $$
DECLARE
    began constant timestamptz := clock_timestamp();
    place constant timestamptz := df._look_from('wakes', '', began);
    before constant bigint := pg_stat_get_xact_tuples_returned('df.fences_wake'::regclass);
    first timestamptz;
BEGIN
    SELECT f.wake_at INTO first FROM df.fences f
    WHERE f.wake_at >= coalesce(place, '-infinity') AND f.wake_at <= moment ORDER BY f.wake_at LIMIT 1;
    IF place IS NOT NULL OR df._look_was_long(began, pg_stat_get_xact_tuples_returned('df.fences_wake'::regclass) - before) THEN
        PERFORM df._look_on_from('wakes', '', began, place::text, greatest(place, least(first, moment - interval '1 s'))::text);
    END IF;
    RETURN coalesce(first, moment);
END $$;

-- Of what was started since `place`, some that are ready, by priority, then age: of these the oldest, a few times as many as
-- are wanted. The condition is written so that no index of what is pending has it: they hold what a look is spared of.
-- Locks: the instances FOR NO KEY UPDATE SKIP LOCKED.
CREATE OR REPLACE FUNCTION df._choose_near(
    place text, submitters oid[], queues text[], formats integer[], quota integer,
    OUT fresh text[], OUT keys text[], OUT first text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    near text[] := ARRAY(
        SELECT i.id FROM df.instances i
        WHERE i.id >= place AND i.status || '' = 'pending' AND i.ready AND NOT i.paused
          AND (submitters IS NULL OR i.submitted_by::oid = ANY (submitters)) AND (queues IS NULL OR i.queue = ANY (queues))
          AND (i.plan IS NULL OR (i.plan ->> 'format')::integer = ANY (formats))
        ORDER BY i.id LIMIT 4 * quota);
BEGIN
    first := near[1];
    SELECT array_agg(c.id), array_agg(c.concurrency_key) INTO fresh, keys FROM (
        SELECT i.id, i.concurrency_key FROM df.instances i
        WHERE i.id = ANY (near) AND i.status = 'pending' AND i.ready AND NOT i.paused
        ORDER BY i.priority DESC, i.id LIMIT quota FOR NO KEY UPDATE SKIP LOCKED) AS c;
END $$;
