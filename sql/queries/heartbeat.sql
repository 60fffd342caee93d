-- A worker says that it lives, and asks what time it is there, seconds since 1970, and whether it has company.
-- Locks: see df._heartbeat.
SELECT df._heartbeat(%s), pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()),
       EXISTS (SELECT FROM df.workers w WHERE w.id OPERATOR(pg_catalog.<>) %s)
