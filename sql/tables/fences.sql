-- Who may write checkpoints of an instance: one row from the claim to the end of the instance.
--
-- The row is changed only by claim, take-over and release; a checkpoint locks it FOR NO KEY UPDATE without
-- changing it, so that a long step at repeatable read does not fail. worker null: up for take-over.
-- Locks: this is the first lock of every transaction that writes for an instance (then instance, checkpoints).
-- This is a part of migration 1, and stays as it was then: later migrations change it.
CREATE TABLE df.fences (
    instance_id  text PRIMARY KEY,
    submitted_by regrole NOT NULL,
    worker       bigint,
    token        bytea NOT NULL CHECK (pg_catalog.octet_length(token) = 16),
    claimed_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX fences_worker ON df.fences (worker);
