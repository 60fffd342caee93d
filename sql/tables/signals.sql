-- Signals: messages to instances, each a row in its sender's transaction. It stays until a step that waits for its
-- name takes it, or the instance ends.
--
-- seen: the journal number of the first look at which it was there, which is the order of becoming visible; those of one
-- look go by id. taken: one with a dedupe_key stays when a step has taken it, so that it does not come twice.
-- Locks: none beyond the insert's own; the instance is looked at, not locked. A worker changes the rows of an
-- instance under its fence only.
-- This is a part of migration 6, and stays as it was then: a change is a later migration.
CREATE TABLE df.signals (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id text NOT NULL,
    name        text NOT NULL CHECK (name <> ''),
    data        json NOT NULL,
    dedupe_key  text,
    sent_by     regrole NOT NULL DEFAULT pg_catalog.quote_ident(CURRENT_USER)::regrole,
    sent_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    seen        bigint,
    taken       boolean NOT NULL DEFAULT false
);
CREATE INDEX signals_waiting ON df.signals (instance_id, name, seen, id) WHERE NOT taken;
CREATE UNIQUE INDEX signals_once ON df.signals (instance_id, name, dedupe_key) WHERE dedupe_key IS NOT NULL;

-- One sees and sends to one's own instances only, and to none that has ended.
ALTER TABLE df.signals ENABLE ROW LEVEL SECURITY;
CREATE POLICY signals_read ON df.signals FOR SELECT
    USING (EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id));
CREATE POLICY signals_send ON df.signals FOR INSERT
    WITH CHECK (sent_by = pg_catalog.quote_ident(CURRENT_USER)::regrole
                AND EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id AND i.completed_at IS NULL));
