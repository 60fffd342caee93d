-- What time it is, in seconds since 1970. Locks: none.
SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())
