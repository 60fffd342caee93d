-- Variables of df.setvar: everybody has their own. What of them a workflow mentions is taken into its instance
-- when it starts.
-- Locks: none beyond those of the rows that are written.
-- This is a part of migration 3, and stays as it was then: a change is a later migration.
CREATE TABLE df.vars (
    name  text NOT NULL CHECK (name <> ''),
    value text NOT NULL,
    owner regrole NOT NULL DEFAULT pg_catalog.quote_ident(CURRENT_USER)::regrole,
    PRIMARY KEY (owner, name)
);

ALTER TABLE df.vars ENABLE ROW LEVEL SECURITY;
CREATE POLICY vars_own ON df.vars
    USING (owner = (SELECT pg_catalog.quote_ident(CURRENT_USER)::regrole))
    WITH CHECK (owner = pg_catalog.quote_ident(CURRENT_USER)::regrole);
