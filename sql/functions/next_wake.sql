-- In how many seconds the next parked instance is due that was not when this transaction began; null where there is
-- none. A claim before it in the same transaction has taken what was due then, so that none falls in between.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._next_wake() RETURNS double precision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT date_part('epoch', min(f.wake_at) - clock_timestamp())
            FROM df.fences f WHERE f.wake_at > transaction_timestamp() AND f.wake_at < 'infinity');
END $$;
