-- Defined workflows, append-only: the last row of a name is what it means now; without an expression it has been
-- taken away.
--
-- The same content has the same version: a definition that is set back to what it was has its old number again.
-- A submitter inserts everything but owner, version and hash; df._before_definition sets those. Instances keep name
-- and version.
-- Locks: none beyond the insert's own, and see df._before_definition.
-- This is a part of migration 7, and stays as it was then: a change is a later migration.
CREATE TABLE df.definitions (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner             regrole NOT NULL DEFAULT pg_catalog.quote_ident(CURRENT_USER)::regrole,
    name              text NOT NULL,
    version           integer NOT NULL,
    again             boolean NOT NULL,
    content_hash      bytea,
    expression        text CHECK (pg_catalog.octet_length(expression) <= 67108864),
    params            jsonb CHECK (pg_catalog.jsonb_typeof(params) = 'object'),
    on_failure        text CHECK (pg_catalog.octet_length(on_failure) <= 67108864),
    queue             text CHECK (pg_catalog.length(queue) BETWEEN 1 AND 1000),
    priority          integer,
    timeout           interval CHECK (timeout > interval '0'),
    concurrency_key   text CHECK (pg_catalog.length(concurrency_key) BETWEEN 1 AND 1000),
    concurrency_limit integer CHECK (concurrency_limit > 0),
    created_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX definitions_name ON df.definitions (owner, name, id DESC);
-- Two that redefine at the same time cannot both make the next version.
CREATE UNIQUE INDEX definitions_version ON df.definitions (owner, name, version) WHERE NOT again;

ALTER TABLE df.definitions ENABLE ROW LEVEL SECURITY;
CREATE POLICY definitions_read ON df.definitions FOR SELECT
    USING (owner = (SELECT pg_catalog.quote_ident(CURRENT_USER)::regrole));
CREATE POLICY definitions_define ON df.definitions FOR INSERT
    WITH CHECK (owner = pg_catalog.quote_ident(CURRENT_USER)::regrole);
