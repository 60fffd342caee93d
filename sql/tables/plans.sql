-- Compiled plans by expression. Only the worker's role writes and reads it; the trigger on df.instances looks
-- a plan up here, so that a known expression is pinned in the transaction that starts it.
-- Locks: none beyond the insert's own.
-- This is a part of migration 1, and stays as it was then: later migrations change it.
CREATE TABLE df.plans (
    expression_hash  bytea NOT NULL CHECK (pg_catalog.octet_length(expression_hash) = 32),
    compiler_version integer NOT NULL,
    plan             jsonb NOT NULL,
    plan_hash        text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (expression_hash, compiler_version)
);
