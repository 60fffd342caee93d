-- The workers that are, or were and have not been missed yet. Users see it through functions only.
--
-- A heartbeat updates one row; a live worker also holds the session advisory lock (1684431665, id), so that
-- its death shows at once.
-- Locks: a heartbeat locks its own row; who declares a worker dead holds its advisory lock meanwhile, or found
-- its lease run out.
-- This is a part of migration 1, and stays as it was then: later migrations change it.
CREATE SEQUENCE df.worker_ids AS integer CYCLE;

CREATE TABLE df.workers (
    id               bigint PRIMARY KEY,
    host             text NOT NULL,
    pid              integer NOT NULL,
    version          text NOT NULL,
    compiler_version integer NOT NULL,
    plan_formats     integer[] NOT NULL,
    started_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    heartbeat_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    lease_seconds    double precision NOT NULL CHECK (lease_seconds > 0),
    computing        text,
    slots            integer NOT NULL CHECK (slots > 0)
) WITH (fillfactor = 50);
