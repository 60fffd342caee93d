-- Locks for keys, as rows: a key belongs to one of 64 by its hash. An advisory lock would do as well, if it were not
-- for everybody to take: who holds somebody else's key would keep their instances from starting.
-- Locks: whoever decides about a key locks its row FOR NO KEY UPDATE, and never waits for it.
-- This is a part of migration 7, and stays as it was then: a change is a later migration.
CREATE TABLE df.key_locks (lane integer PRIMARY KEY);
INSERT INTO df.key_locks (lane) SELECT g FROM pg_catalog.generate_series(0, 63) AS g;
