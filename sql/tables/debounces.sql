-- Further calls for an instance that is debounced: the last one's input and time count when it starts, and then all of
-- them go.
--
-- A submitter inserts instance_id, input and due_at. The trigger df._before_debounce looks whether the instance is
-- still there to be joined, and holds it FOR KEY SHARE until the call commits: a claim does not start it meanwhile.
-- Locks: see there.
-- This is a part of migration 7, and stays as it was then: a change is a later migration.
CREATE TABLE df.debounces (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instance_id  text NOT NULL,
    input        jsonb,
    due_at       timestamptz NOT NULL CHECK (pg_catalog.isfinite(due_at)),
    submitted_by regrole NOT NULL DEFAULT pg_catalog.quote_ident(CURRENT_USER)::regrole
);
CREATE INDEX debounces_instance ON df.debounces (instance_id, id);
CREATE INDEX debounces_due ON df.debounces (due_at);

ALTER TABLE df.debounces ENABLE ROW LEVEL SECURITY;
CREATE POLICY debounces_read ON df.debounces FOR SELECT
    USING (submitted_by = (SELECT pg_catalog.quote_ident(CURRENT_USER)::regrole));
CREATE POLICY debounces_call ON df.debounces FOR INSERT
    WITH CHECK (submitted_by = pg_catalog.quote_ident(CURRENT_USER)::regrole);
