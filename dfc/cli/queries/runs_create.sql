-- Where `dfc run` keeps how far it has come with a file, in the embedded database only.
-- One row a run. `done` counts statements that have committed; `instance_id` is the workflow it waits for.
-- Locks: none where it is there already; otherwise those of a new schema and table.
CREATE SCHEMA IF NOT EXISTS dfc_run;
CREATE TABLE IF NOT EXISTS dfc_run.runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file         text NOT NULL,
    content_hash text NOT NULL,
    done         integer NOT NULL DEFAULT 0,
    instance_id  text,
    started_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at  timestamptz
)
