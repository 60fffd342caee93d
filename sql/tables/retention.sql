-- How long instances that have ended are kept, what becomes of them then, and how far the workers have come with it.
--
-- keep_finished: for all whose definition says nothing of its own; null: for ever. archive: their rows go to df.archived.
-- stage, behind, passed_at: where the pass that is under way stands (df._sweep_finished): those with a time of their own
-- come time by time (stage), then all others (stage null), each in the order of ids (behind); when the last pass was over.
-- Locks: who sweeps locks the row until it commits, so that one at a time does; who sets it waits for that.
-- This is a part of migration 15, and stays as it was then: a change is a later migration.
CREATE TABLE df.retention (
    singleton     boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    keep_finished interval CHECK (keep_finished > interval '0' AND keep_finished <= interval '1000 years'),
    archive       boolean NOT NULL DEFAULT false,
    stage         interval DEFAULT interval '0',
    behind        text NOT NULL DEFAULT 'z',
    passed_at     timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO df.retention DEFAULT VALUES;

-- Items of maps whose instance is gone: so many that they are deleted bit by bit. Locks: who sweeps deletes them.
CREATE TABLE df.maps_left (map bigint PRIMARY KEY);

-- What is kept of an instance whose time is over: what was asked, by whom, and what came of it. Nothing of its steps.
-- Locks: none beyond the insert's own.
CREATE TABLE df.archived (
    id                 text PRIMARY KEY,
    label              text,
    status             text NOT NULL CHECK (status IN ('completed', 'failed', 'cancelled', 'compensated')),
    submitted_by       regrole NOT NULL,
    definition         text,
    definition_version integer,
    expression_hash    bytea NOT NULL,
    plan_hash          text,
    input              jsonb,
    result             json,
    error              json,
    idempotency_key    text,
    parent             text,
    forked_from        text,
    created_at         timestamptz NOT NULL,
    started_at         timestamptz NOT NULL,
    completed_at       timestamptz NOT NULL,
    archived_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX archived_submitter ON df.archived (submitted_by, id);

ALTER TABLE df.archived ENABLE ROW LEVEL SECURITY;
CREATE POLICY archived_read ON df.archived FOR SELECT
    USING (submitted_by = (SELECT pg_catalog.quote_ident(CURRENT_USER)::regrole));
