-- Schedules: workflows that start at times. Each call is a row that a worker takes in; df.schedules shows it at once.

-- Gives a name a schedule; nothing is stored where it has it already. A schedule that is paused stays so. `workflow` is the
-- name of a definition, looked up anew at each tick, or an expression. Raises 22023, 42704, DF1xx.
-- Locks: none (see df._wake).
CREATE OR REPLACE FUNCTION df.schedule(
    name text, cron text, workflow text, input jsonb DEFAULT NULL, time_zone text DEFAULT NULL,
    overlap text DEFAULT 'skip', catch_up text DEFAULT 'last') RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    called constant text := df._name(name, 'df.schedule');
    zone constant text := coalesce(time_zone, 'UTC');
    wire text := workflow;
    given constant jsonb := nullif(input, 'null');
    definition df.definitions;
BEGIN
    PERFORM df._check_cron('df.schedule', cron, time_zone);
    PERFORM df._check_schedule(given, overlap, catch_up);
    IF df._is_identifier(workflow) THEN
        definition := df._definition(pg_catalog.quote_ident(CURRENT_USER)::regrole, workflow);
        PERFORM df._scheduled_input(definition, given, pg_catalog.clock_timestamp(), true);
    ELSE
        wire := df._wire(df._node(workflow));
        PERFORM df._check_expression(wire);
    END IF;
    PERFORM FROM df.schedules s
    WHERE s.submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole AND s.name = called
      AND (s.cron, s.time_zone, s.workflow, s.input, s.overlap, s.catch_up)
          IS NOT DISTINCT FROM (cron, zone, wire, given, overlap, catch_up);
    IF NOT FOUND THEN
        INSERT INTO df.schedule_changes (name, change, cron, time_zone, workflow, input, overlap, catch_up)
        VALUES (called, 'set', cron, zone, wire, given, overlap, catch_up);
        PERFORM df._wake();
    END IF;
    RETURN 'OK';
END $$;

-- What df.schedule refuses about how it starts. Raises 22023. Locks: none.
CREATE OR REPLACE FUNCTION df._check_schedule(input jsonb, overlap text, catch_up text) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF (overlap IN ('skip', 'queue', 'allow')) IS NOT TRUE THEN
        RAISE EXCEPTION 'df.schedule: overlap is %', coalesce(pg_catalog.quote_literal(overlap), 'NULL') USING ERRCODE = '22023',
            DETAIL = 'It says what happens at a tick while the instance of the one before still runs.',
            HINT = 'Write ''skip'' (it is left out), ''queue'' (it starts after that one) or ''allow'' (it starts at once).';
    ELSIF (catch_up IN ('none', 'last', 'all')) IS NOT TRUE THEN
        RAISE EXCEPTION 'df.schedule: catch_up is %', coalesce(pg_catalog.quote_literal(catch_up), 'NULL') USING ERRCODE = '22023',
            DETAIL = 'It says what happens about ticks that have passed while no worker ran, or the schedule was paused.',
            HINT = 'Write ''none'', ''last'' (the last of them is started) or ''all''.';
    ELSIF pg_catalog.jsonb_typeof(input) <> 'object' THEN
        RAISE EXCEPTION 'df.schedule: the input is not an object' USING ERRCODE = '22023',
            DETAIL = 'Each instance gets it with scheduled_at, the time of its tick.', HINT = 'Write an object: ''{"key": ...}''.';
    END IF;
END $$;

-- The input of a tick: what was given, with scheduled_at. A definition that declares inputs need not declare that one.
-- Raises 22023. Locks: none.
CREATE OR REPLACE FUNCTION df._scheduled_input(definition df.definitions, input jsonb, tick timestamptz, everything boolean) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    at constant jsonb := pg_catalog.jsonb_build_object('scheduled_at',
        pg_catalog.to_char(tick AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'));
BEGIN
    IF definition.params ? 'scheduled_at' THEN
        RETURN df._input(definition.name, definition.params, coalesce(input, '{}') || at, everything);
    END IF;
    RETURN coalesce(df._input(definition.name, definition.params, input, everything), '{}') || at;
END $$;

-- One of the other three changes. Raises 42704. Locks: none (see df._wake).
CREATE OR REPLACE FUNCTION df._change_schedule(name text, change text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    me constant regrole := pg_catalog.quote_ident(CURRENT_USER)::regrole;
BEGIN
    PERFORM FROM df.schedules s WHERE s.submitted_by = me AND s.name = name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no schedule named "%"', coalesce(name, 'NULL') USING ERRCODE = '42704',
            DETAIL = pg_catalog.format('Schedules belong to the role that makes them: %s has none of this name.', me),
            HINT = coalesce(df._meant(name, ARRAY(SELECT s.name FROM df.schedules s WHERE s.submitted_by = me)),
                            'SELECT df.schedule(name, cron, workflow) makes one.');
    END IF;
    INSERT INTO df.schedule_changes (name, change) VALUES (name, change);
    PERFORM df._wake();
    RETURN 'OK';
END $$;

-- No tick starts anything until it is resumed; then `catch_up` says what happens about those that have passed.
CREATE OR REPLACE FUNCTION df.pause_schedule(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._change_schedule(name, 'pause') $$;

CREATE OR REPLACE FUNCTION df.resume_schedule(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._change_schedule(name, 'resume') $$;

-- Takes a schedule away. What it has started goes on.
CREATE OR REPLACE FUNCTION df.unschedule(name text) RETURNS text
LANGUAGE sql VOLATILE AS $$ SELECT df._change_schedule(name, 'drop') $$;
