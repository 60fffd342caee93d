-- What lasts of an instance beside the records of its activations: decisions (who won a race, that a time limit
-- was up first), timers that run, and where loops and retries stand.
--
-- decided: value is the decision; the first that was recorded counts. timer: due_at. position: round, and value
-- maps ids of nodes to where the values come from that they had at the end of the round before; after a failed
-- attempt of a retry, error says why and due_at when the next one begins. A position takes the place of the one
-- before: no column that changes is in an index, and the page has room for heap-only updates (fillfactor).
-- Locks: none beyond the insert's own, always under the instance's fence; no foreign key (see df.checkpoints).
-- This is a part of migration 2, and stays as it was then: a change is a later migration.
CREATE TABLE df.marks (
    instance_id text NOT NULL,
    path        text COLLATE "C" NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('decided', 'timer', 'position')),
    journal     bigint,
    round       bigint,
    value       json,
    due_at      timestamptz,
    error       json,
    made_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (instance_id, path),
    CONSTRAINT marks_decided CHECK ((kind = 'decided') = (journal IS NOT NULL)),
    CONSTRAINT marks_position CHECK ((kind = 'position') = (round IS NOT NULL)),
    CONSTRAINT marks_parts CHECK (CASE kind
        WHEN 'decided' THEN value IS NOT NULL AND due_at IS NULL AND error IS NULL
        WHEN 'timer' THEN value IS NULL AND due_at IS NOT NULL AND error IS NULL
        ELSE value IS NOT NULL END)
) WITH (fillfactor = 70);

ALTER TABLE df.marks ENABLE ROW LEVEL SECURITY;
CREATE POLICY marks_read ON df.marks FOR SELECT
    USING (EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id));
