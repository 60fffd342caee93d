-- Schedules: what people ask, and how it stands.
--
-- A submitter inserts a row into df.schedule_changes; a worker makes of it what df.schedule_states says, and takes it
-- away. The view df.schedules shows both as one. No user changes a state, and no change waits for a worker that is
-- about to start a tick.
-- Locks: a worker that applies changes, or starts a tick, locks the state's row; the others leave it to that one.
-- This is a part of migration 7, and stays as it was then: a change is a later migration.
CREATE TABLE df.schedule_changes (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner             regrole NOT NULL DEFAULT pg_catalog.quote_ident(CURRENT_USER)::regrole,
    name              text NOT NULL CHECK (name ~ '^[A-Za-z_][A-Za-z0-9_]{0,62}$'),
    change            text NOT NULL CHECK (change IN ('set', 'pause', 'resume', 'drop')),
    cron              text CHECK (pg_catalog.length(cron) <= 1000),
    time_zone         text CHECK (pg_catalog.length(time_zone) <= 100),
    workflow          text CHECK (pg_catalog.octet_length(workflow) <= 67108864),
    input             jsonb CHECK (pg_catalog.jsonb_typeof(input) = 'object'),
    overlap           text CHECK (overlap IN ('skip', 'queue', 'allow')),
    catch_up          text CHECK (catch_up IN ('none', 'last', 'all')),
    search_path       text NOT NULL DEFAULT pg_catalog.current_setting('search_path'),
    session_time_zone text NOT NULL DEFAULT pg_catalog.current_setting('TimeZone'),
    made_at           timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    CONSTRAINT schedule_changes_set CHECK (change <> 'set' OR (
        cron IS NOT NULL AND time_zone IS NOT NULL AND workflow IS NOT NULL AND overlap IS NOT NULL AND catch_up IS NOT NULL))
);

-- since: from when on ticks count. next_at: the first that has not been dealt with; ticks: that one and those after it,
-- null until a worker has computed them, empty where there are none. note: which ticks were not started, and why.
CREATE TABLE df.schedule_states (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner             regrole NOT NULL,
    name              text NOT NULL,
    cron              text NOT NULL,
    time_zone         text NOT NULL,
    workflow          text NOT NULL,
    input             jsonb,
    overlap           text NOT NULL,
    catch_up          text NOT NULL,
    search_path       text NOT NULL,
    session_time_zone text NOT NULL,
    since             timestamptz NOT NULL,
    paused            boolean NOT NULL DEFAULT false,
    next_at           timestamptz,
    ticks             timestamptz[],
    last_at           timestamptz,
    last_instance     text,
    last_error        text,
    note              text,
    skipped           bigint NOT NULL DEFAULT 0,
    UNIQUE (owner, name),
    CONSTRAINT schedule_states_next CHECK (next_at IS NOT DISTINCT FROM ticks[1])
) WITH (fillfactor = 70);
CREATE INDEX schedule_states_next ON df.schedule_states (next_at) WHERE NOT paused AND next_at IS NOT NULL;

ALTER TABLE df.schedule_changes ENABLE ROW LEVEL SECURITY;
CREATE POLICY schedule_changes_read ON df.schedule_changes FOR SELECT
    USING (owner = (SELECT pg_catalog.quote_ident(CURRENT_USER)::regrole));
CREATE POLICY schedule_changes_ask ON df.schedule_changes FOR INSERT
    WITH CHECK (owner = pg_catalog.quote_ident(CURRENT_USER)::regrole);
ALTER TABLE df.schedule_states ENABLE ROW LEVEL SECURITY;
CREATE POLICY schedule_states_read ON df.schedule_states FOR SELECT
    USING (owner = (SELECT pg_catalog.quote_ident(CURRENT_USER)::regrole));
