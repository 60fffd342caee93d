-- What this installation is: one row.
--
-- system_identifier and database_oid tell a copy (a restored dump, a template copy) from the original; they
-- are null where the server does not give them. compiler_version is the newest that a worker brought; a plan
-- is looked up under it. code_hash names the functions and views that were installed last.
-- Locks: none of its own; df._register_worker updates the row when a newer compiler appears.
-- This is a part of migration 1, and stays as it was then: a change is a later migration.
CREATE TABLE df.meta (
    singleton         boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    schema_version    integer NOT NULL,
    compiler_version  integer NOT NULL DEFAULT 0,
    system_identifier bigint,
    database_oid      oid,
    code_hash         text,
    installed_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- Which numbered migrations have run here. Written by the installer only, under its advisory lock.
CREATE TABLE df.migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
