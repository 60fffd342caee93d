-- What workers do about schedules. When a schedule fires they compute (executor/cron.py); that it fires once is decided here.

-- Takes in what has been asked. Each change is applied in the order in which it was asked, once.
-- Locks: the changes FOR UPDATE SKIP LOCKED, then the states. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._apply_schedule_changes() RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    c df.schedule_changes;
BEGIN
    -- One worker at a time, so that the order is kept.
    PERFORM FROM df.key_locks l WHERE l.lane = 0 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR c IN SELECT x.* FROM df.schedule_changes x ORDER BY x.id LIMIT 1000 LOOP
        IF c.change = 'set' THEN
            INSERT INTO df.schedule_states AS s (owner, name, cron, time_zone, workflow, input, overlap, catch_up, search_path,
                                                 session_time_zone, since)
            VALUES (c.owner, c.name, c.cron, c.time_zone, c.workflow, c.input, c.overlap, c.catch_up, c.search_path,
                    c.session_time_zone, c.made_at)
            ON CONFLICT (owner, name) DO UPDATE SET
                cron = c.cron, time_zone = c.time_zone, workflow = c.workflow, input = c.input, overlap = c.overlap,
                catch_up = c.catch_up, search_path = c.search_path, session_time_zone = c.session_time_zone, last_error = NULL, retry_at = NULL,
                since = CASE WHEN (s.cron, s.time_zone) = (c.cron, c.time_zone) THEN s.since ELSE c.made_at END,
                next_at = CASE WHEN (s.cron, s.time_zone) = (c.cron, c.time_zone) THEN s.next_at END,
                ticks = CASE WHEN (s.cron, s.time_zone) = (c.cron, c.time_zone) THEN s.ticks END;
        ELSIF c.change = 'drop' THEN
            DELETE FROM df.schedule_states s WHERE s.owner = c.owner AND s.name = c.name;
        ELSE
            UPDATE df.schedule_states s SET paused = c.change = 'pause' WHERE s.owner = c.owner AND s.name = c.name;
        END IF;
        DELETE FROM df.schedule_changes x WHERE x.id = c.id;
    END LOOP;
END $$;

-- The schedules that a worker has to do something about: those whose ticks have not been computed (next_at null), and those
-- of which one is due. Locks: see df._apply_schedule_changes.
CREATE OR REPLACE FUNCTION df._due_schedules()
RETURNS TABLE (schedule bigint, cron text, time_zone text, catch_up text, since timestamptz, next_at timestamptz, moment timestamptz)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    IF EXISTS (SELECT FROM df.schedule_changes) THEN
        PERFORM df._apply_schedule_changes();
    END IF;
    RETURN QUERY
    SELECT s.id, s.cron, s.time_zone, s.catch_up, s.since, s.next_at, clock_timestamp() FROM df.schedule_states s
    WHERE s.ticks IS NULL OR (NOT s.paused AND greatest(s.next_at, s.retry_at) <= clock_timestamp())
    ORDER BY s.next_at NULLS FIRST LIMIT 100;
END $$;

-- In how many seconds the next tick is due; null where there is none. Locks: none.
CREATE OR REPLACE FUNCTION df._next_tick() RETURNS double precision
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT date_part('epoch', min(greatest(s.next_at, s.retry_at)) - clock_timestamp()) FROM df.schedule_states s WHERE NOT s.paused AND s.next_at IS NOT NULL
$$;

-- The ticks of a schedule that has none yet. Locks: the state's row.
CREATE OR REPLACE FUNCTION df._set_ticks(schedule bigint, since timestamptz, upcoming timestamptz[], problem text) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
    UPDATE df.schedule_states s SET next_at = $3[1], ticks = $3, last_error = $4, looked_at = clock_timestamp()
    WHERE s.id = $1 AND s.since = $2 AND s.ticks IS NULL AND (s.last_error IS DISTINCT FROM $4 OR $3 IS NOT NULL)
$$;

-- Starts the instances of due ticks, and moves the schedule on to what comes after them. `expected` is the next tick that
-- the worker has seen: where it is another one by now, somebody else has been here, and nothing happens (false).
-- What goes wrong with one is said in last_error. With catch_up 'none' it is passed over then; otherwise it is tried again a
-- minute later and at the next ticks, and those behind it wait: it is a tick that has passed without being started.
-- Locks: the state's row FOR UPDATE SKIP LOCKED.
CREATE OR REPLACE FUNCTION df._fire(
    schedule bigint, expected timestamptz, starts timestamptz[], remark text, upcoming timestamptz[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s df.schedule_states;
    tick timestamptz;
    detail text;
    hint text;
    coming timestamptz[] := upcoming;
BEGIN
    SELECT x.* INTO s FROM df.schedule_states x
    WHERE x.id = $1 AND x.next_at = $2 AND NOT x.paused AND (x.retry_at <= clock_timestamp()) IS NOT FALSE
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    s.retry_at := NULL;
    FOREACH tick IN ARRAY starts LOOP
        IF EXISTS (SELECT FROM df.instances i WHERE i.schedule = s.id AND i.scheduled_at = tick) THEN
            CONTINUE;  -- before the clock was set back
        ELSIF s.overlap = 'skip' AND EXISTS (
            SELECT FROM df.instances i WHERE i.id = s.last_instance AND i.completed_at IS NULL) THEN
            s.skipped := s.skipped + 1;
        ELSE
            BEGIN
                s.last_instance := df._start_scheduled(s, tick);
                s.last_at := tick;
                s.last_error := NULL;
            EXCEPTION WHEN others THEN
                GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
                s.last_error := concat_ws(' ', format('%s: %s.', to_char(tick AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"+00"'), SQLERRM),
                                          replace(rtrim(nullif(detail, ''), '.'), E'\n', '; ') || '.', nullif(hint, ''));
                IF s.catch_up <> 'none' AND SQLSTATE <> '23505' THEN
                    s.retry_at := clock_timestamp() + interval '1 minute';
                    coming := tick || upcoming[:4];
                    EXIT;
                END IF;
            END;
        END IF;
    END LOOP;
    UPDATE df.schedule_states x
    SET next_at = coming[1], ticks = coming, looked_at = clock_timestamp(), retry_at = s.retry_at, last_at = s.last_at, last_instance = s.last_instance, last_error = s.last_error,
        skipped = s.skipped, note = coalesce($4, x.note)
    WHERE x.id = $1;
    PERFORM df._wake();
    RETURN true;
END $$;

-- The instance of one tick, with the rights of whoever has made the schedule. Raises what its start raises.
-- Locks: none. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._start_scheduled(s df.schedule_states, tick timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    definition df.definitions;
    queued boolean := s.overlap = 'queue';
    started text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.owner::oid) THEN
        RAISE EXCEPTION 'the role of the schedule is gone' USING ERRCODE = '42704',
            DETAIL = 'Its instances would be nobody''s.', HINT = 'Make the schedule with another role.';
    ELSIF NOT starts_with(s.workflow, '/*dfc:') THEN
        definition := df._definition(s.owner, s.workflow);
        -- An instance has one key. Where only one with that of the definition may run at a time, that is the queue.
        queued := queued AND NOT (definition.concurrency_key IS NOT NULL AND coalesce(definition.concurrency_limit, 1) = 1);
    END IF;
    INSERT INTO df.instances AS i (expression, definition, label, input, submitted_by, search_path, time_zone, schedule,
                                   scheduled_at, concurrency_key, concurrency_limit, queue, priority)
    VALUES (s.workflow, definition.name, s.name, df._scheduled_input(definition, s.input, tick, false), s.owner, s.search_path,
            s.session_time_zone, s.id, tick, CASE WHEN queued THEN 'schedule ' || s.name END, CASE WHEN queued THEN 1 END, NULL, NULL)
    RETURNING i.id INTO started;
    RETURN started;
END $$;
