-- The journals of instances that are recorded: each event that the core has seen, in order, with what it decided then.
--
-- An entry is written before anything is done about it, under the instance's fence, by whoever drives the instance; its
-- number goes on where the last one's stopped, so an instance that several workers have driven has one journal. `bytes`
-- is what all entries up to this one hold: no more is written over journal_bytes_max. What an entry says is in
-- docs/journal.md. It goes with its instance.
-- Locks: none beyond the insert's own, always under the instance's fence; no foreign key (see df.checkpoints).
-- This is a part of migration 13, and stays as it was then: a change is a later migration.
CREATE TABLE df.journal_entries (
    instance_id text NOT NULL,
    number      bigint NOT NULL CHECK (number > 0),
    worker      bigint,
    written_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    bytes       bigint NOT NULL,
    entry       json NOT NULL,
    PRIMARY KEY (instance_id, number)
);

ALTER TABLE df.journal_entries ENABLE ROW LEVEL SECURITY;
CREATE POLICY journal_entries_read ON df.journal_entries FOR SELECT
    USING (EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id));
