-- In how many seconds something is due that was not when this transaction began: a parked instance, one that is to
-- start at a time; null where there is nothing. A claim before it in the same transaction has taken what was
-- due then, so that none falls in between.
-- Locks: none.
CREATE OR REPLACE FUNCTION df._next_wake() RETURNS double precision
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN date_part('epoch', least(
        (SELECT min(f.wake_at) FROM df.fences f WHERE f.wake_at > transaction_timestamp() AND f.wake_at < 'infinity'),
        (SELECT min(i.due_at) FROM df.instances i
         WHERE i.started_at IS NULL AND NOT i.ready AND NOT i.held AND i.due_at > transaction_timestamp()),
        (SELECT min(d.due_at) FROM df.debounces d WHERE d.due_at > transaction_timestamp())) - clock_timestamp());
END $$;
