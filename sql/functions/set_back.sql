-- The clock has been set back, or may have been while no worker was there to see it. What waits for the end of a length of
-- time that began later than now is put right, so that nobody waits for longer than that length: parked instances are
-- due at once, and look how much is left (df._begin_anew); debounced ones wait for what they were told to, from now. The
-- next ticks of schedules are computed anew; those that have their instance start no other one (df._fire).
-- May be called at any time, and by several. Reads all that is parked.
-- Locks: the fences, the instances, the debounces, the schedules, one after the other; all SKIP LOCKED: who has them locked is about
-- to change them.
CREATE OR REPLACE FUNCTION df._set_back() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment constant timestamptz := clock_timestamp();
BEGIN
    UPDATE df.fences f SET wake_at = moment WHERE f.instance_id = ANY (ARRAY(
        SELECT p.instance_id FROM df.fences p WHERE p.parked_at > moment AND p.wake_at > moment AND p.wake_at < 'infinity'
        FOR NO KEY UPDATE SKIP LOCKED));
    UPDATE df.instances i SET due_at = moment + (i.due_at - i.created_at), updated_at = moment WHERE i.id = ANY (ARRAY(
        SELECT w.id FROM df.instances w
        WHERE w.started_at IS NULL AND NOT w.ready AND NOT w.held AND w.debounce_key IS NOT NULL
          AND w.created_at > moment AND w.due_at > w.created_at
        FOR NO KEY UPDATE SKIP LOCKED));
    UPDATE df.debounces d SET due_at = moment + (d.due_at - d.made_at), made_at = moment WHERE d.id = ANY (ARRAY(
        SELECT c.id FROM df.debounces c WHERE c.made_at > moment AND c.due_at > c.made_at
        FOR NO KEY UPDATE SKIP LOCKED));
    UPDATE df.schedule_states s SET since = moment, next_at = NULL, ticks = NULL, retry_at = NULL WHERE s.id = ANY (ARRAY(
        SELECT t.id FROM df.schedule_states t WHERE t.looked_at > moment AND t.next_at > moment
        FOR NO KEY UPDATE SKIP LOCKED));
    UPDATE df.schedule_states s SET retry_at = moment WHERE s.id = ANY (ARRAY(
        SELECT t.id FROM df.schedule_states t WHERE t.retry_at > moment + interval '1 minute'
        FOR NO KEY UPDATE SKIP LOCKED));
END $$;
