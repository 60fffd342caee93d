-- Locks for concurrency keys, as rows: a key has one of 1,024 by its hash. An advisory lock would do as well, if it were
-- not for everybody to take: who holds somebody else's key would keep their instances from starting.
-- Locks: whoever decides about a key locks its row FOR NO KEY UPDATE until it commits, and never waits for it.
-- This is a part of migration 7, and stays as it was then: a change is a later migration.
CREATE TABLE df.key_locks (lane integer PRIMARY KEY);
INSERT INTO df.key_locks (lane) SELECT g FROM pg_catalog.generate_series(0, 1023) AS g;

-- Keys under which an instance has ended, so that another may start. A claim takes the rows away.
-- Locks: none beyond the insert's own.
CREATE TABLE df.freed_keys (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    submitted_by regrole NOT NULL,
    key          text NOT NULL
);
