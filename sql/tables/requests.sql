-- What people ask of instances that run: rows in the caller's transaction, which update nothing that a worker
-- needs. The end of an instance takes its requests away.
-- Locks: none beyond the insert's own; the instance is looked at, not locked.
-- This is a part of migration 1, and stays as it was then: a change is a later migration.
CREATE TABLE df.requests (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id  text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('cancel')),
    reason       text CHECK (pg_catalog.length(reason) <= 10000),
    requested_by regrole NOT NULL DEFAULT pg_catalog.quote_ident(CURRENT_USER)::regrole,
    created_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX requests_instance ON df.requests (instance_id);

-- The look at df.instances is under its own policy: one sees and asks for one's own instances only, and
-- asks nothing of those that have ended. A request that commits while its instance ends stays until a worker
-- comes or goes (df._forget_requests).
ALTER TABLE df.requests ENABLE ROW LEVEL SECURITY;
CREATE POLICY requests_read ON df.requests FOR SELECT
    USING (EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id));
CREATE POLICY requests_ask ON df.requests FOR INSERT
    WITH CHECK (requested_by = pg_catalog.quote_ident(CURRENT_USER)::regrole
                AND EXISTS (SELECT FROM df.instances i WHERE i.id = instance_id AND i.completed_at IS NULL));
