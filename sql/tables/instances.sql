-- One row a workflow instance: what was asked, by whom, how it stands, what came of it.
--
-- A submitter inserts label, database, expression, input, priority and queue; every other column is a default
-- that the submitter has no right to name, or is set by the trigger df._before_instance.
-- The row changes twice in its life: at the claim and at the end. Only started_at is in the partial index of
-- what is waiting, so that the second change is a heap-only update when the page has room (fillfactor).
-- Locks: a claim takes FOR NO KEY UPDATE SKIP LOCKED; nothing that a submitter does locks a row here.
-- This is a part of migration 1, and stays as it was then: later migrations change it.
CREATE TABLE df.instances (
    id              text PRIMARY KEY,
    label           text CHECK (pg_catalog.length(label) <= 1000),
    status          text NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
    submitted_by    regrole NOT NULL DEFAULT pg_catalog.quote_ident(CURRENT_USER)::regrole,
    database        text,
    expression      text NOT NULL CHECK (pg_catalog.octet_length(expression) <= 67108864),
    expression_hash bytea NOT NULL,
    plan            jsonb,
    plan_hash       text,
    input           jsonb,
    result          json,
    error           json,
    attempt         integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    waiting_for     text,
    current_steps   text[],
    priority        integer NOT NULL DEFAULT 0,
    queue           text NOT NULL DEFAULT 'default',
    search_path     text NOT NULL DEFAULT pg_catalog.current_setting('search_path'),
    time_zone       text NOT NULL DEFAULT pg_catalog.current_setting('TimeZone'),
    created_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    started_at      timestamptz,
    updated_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    completed_at    timestamptz,
    CONSTRAINT instances_plan_and_hash CHECK ((plan IS NULL) = (plan_hash IS NULL)),
    CONSTRAINT instances_started CHECK ((started_at IS NULL) = (status = 'pending')),
    CONSTRAINT instances_completed CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled'))),
    CONSTRAINT instances_result CHECK (result IS NULL OR status = 'completed'),
    CONSTRAINT instances_error CHECK (error IS NULL OR status IN ('failed', 'cancelled'))
) WITH (fillfactor = 60);

CREATE INDEX instances_pending ON df.instances (priority DESC, id) WHERE started_at IS NULL;

ALTER TABLE df.instances ENABLE ROW LEVEL SECURITY;
CREATE POLICY instances_read ON df.instances FOR SELECT
    USING (submitted_by = (SELECT pg_catalog.quote_ident(CURRENT_USER)::regrole));
CREATE POLICY instances_submit ON df.instances FOR INSERT
    WITH CHECK (submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole);
