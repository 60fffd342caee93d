-- Rate limits of a submitter, by key: a bucket of tokens that fills evenly (GCRA). full_at is when it will be full
-- again: each turn moves it on by the time in which one token comes. A row whose full_at has passed says
-- nothing, and is deleted when workers come and go.
-- Locks: a turn locks its key's row, after the fence, until its short transaction commits.
-- This is a part of migration 2, and stays as it was then: a change is a later migration.
CREATE TABLE df.rate_limits (
    submitted_by regrole NOT NULL,
    key          text NOT NULL,
    full_at      timestamptz NOT NULL,
    PRIMARY KEY (submitted_by, key)
) WITH (fillfactor = 50);
