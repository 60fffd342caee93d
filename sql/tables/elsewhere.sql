-- Instances that have, or may have, something in another database: one row an instance and database.
--
-- key is what the markers of the instance are kept under there: only the worker knows it, so nobody can forge one.
-- permitted_at is when somebody was last allowed to put up the fence there; after the end of the instance, and
-- that time and df._permit_seconds, nobody can any more, and what is there can go. recorded are paths that
-- have been recorded here and whose markers may still be there.
-- Locks: the fence of the instance comes first. No foreign key: what is left there outlives a deleted instance.
CREATE TABLE df.elsewhere (
    instance_id  text NOT NULL,
    database     name NOT NULL,
    submitted_by regrole NOT NULL,
    key          bytea NOT NULL CHECK (pg_catalog.octet_length(key) = 32),
    permitted_at timestamptz NOT NULL,
    recorded     text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (instance_id, database)
);
ALTER TABLE df.elsewhere ENABLE ROW LEVEL SECURITY;
