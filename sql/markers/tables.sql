-- What dfc keeps in a database where steps of workflows run that were started in another one
-- (docs/adr/0025-other-databases.md). Version 1: a change is a numbered file of its own.
-- Nobody has rights on the tables; the functions are the only way. Locks: those of CREATE.
CREATE SCHEMA df_markers;

CREATE TABLE df_markers.meta (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version      integer NOT NULL,
    code_hash    text,
    installed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- The fence of an instance, as df.fences is it in the database of the workflows: who holds it there has put up an epoch
-- here, and what runs under an earlier one does not commit any more. key is known to workers alone.
CREATE TABLE df_markers.fences (
    key          bytea PRIMARY KEY CHECK (pg_catalog.octet_length(key) = 32),
    instance_id  text NOT NULL,
    submitted_by regrole NOT NULL,
    epoch        bigint NOT NULL,
    entered_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- The result of a step, written in the transaction of its effect, until it is recorded where the workflow is.
-- type_names are those of types that are not PostgreSQL's own; types are then what to take them for elsewhere.
CREATE TABLE df_markers.markers (
    key        bytea NOT NULL REFERENCES df_markers.fences ON DELETE CASCADE,
    path       text COLLATE "C" NOT NULL,
    columns    text[] NOT NULL,
    types      oid[] NOT NULL,
    type_names text[] NOT NULL,
    cells      text[] NOT NULL,
    row_count  bigint NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (key, path)
);
ALTER TABLE df_markers.meta ENABLE ROW LEVEL SECURITY;
ALTER TABLE df_markers.fences ENABLE ROW LEVEL SECURITY;
ALTER TABLE df_markers.markers ENABLE ROW LEVEL SECURITY;
