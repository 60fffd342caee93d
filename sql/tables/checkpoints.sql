-- What has happened, append-only: one row an activation of a step.
--
-- journal is taken from the sequence under the fence's lock: within an instance it is the order of commits.
-- cells are text values row by row under ordered columns. A SQL step has columns, types, cells and row_count;
-- any other completed step has value; a failure has error.
-- Locks: none beyond the insert's own; no foreign key, which would lock the instance's row each time.
-- This is a part of migration 1, and stays as it was then: later migrations change it.
CREATE SEQUENCE df.journal AS bigint CACHE 1;

CREATE TABLE df.checkpoints (
    instance_id text NOT NULL,
    path        text NOT NULL,
    journal     bigint NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('completed', 'failed')),
    columns     text[],
    types       oid[],
    cells       text[],
    row_count   bigint,
    value       json,
    error       json,
    started_at  timestamptz,
    finished_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (instance_id, path),
    CONSTRAINT checkpoints_rows CHECK ((row_count IS NOT NULL) = (cells IS NOT NULL AND columns IS NOT NULL AND types IS NOT NULL)),
    CONSTRAINT checkpoints_one_result CHECK (
        (kind = 'completed' AND error IS NULL AND (row_count IS NULL) <> (value IS NULL))
        OR (kind = 'failed' AND error IS NOT NULL AND row_count IS NULL AND value IS NULL))
);

ALTER TABLE df.checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY checkpoints_read ON df.checkpoints FOR SELECT
    USING (EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id));
