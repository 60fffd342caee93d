-- In how many seconds the next parked instance is due that is not yet; null where there is none. Locks: none.
CREATE OR REPLACE FUNCTION df._next_wake() RETURNS double precision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now constant timestamptz := clock_timestamp();
BEGIN
    RETURN (SELECT date_part('epoch', min(f.wake_at) - now) FROM df.fences f WHERE f.wake_at > now);
END $$;
