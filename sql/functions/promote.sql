-- Instances whose time to start has come become ready; of those that are debounced the last call counts, and where it
-- has moved the time on, they wait until then. What is to be cancelled (`stopped`) waits neither for its
-- time nor for its key.
--
-- A few hundred at a time: a claim takes no more. A debounced instance that a call is about to join is locked by it,
-- and left for the next time; whoever calls when it is ready starts another one.
-- Locks: the instances FOR UPDATE SKIP LOCKED. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._promote(stopped text[]) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    moment constant timestamptz := clock_timestamp();
    due text[];
BEGIN
    due := ARRAY(SELECT i.id FROM df.instances i
                 WHERE i.started_at IS NULL AND NOT i.ready AND NOT i.held AND i.due_at <= moment ORDER BY i.due_at LIMIT 256)
           || ARRAY(SELECT d.instance_id FROM df.debounces d WHERE d.due_at <= moment ORDER BY d.due_at LIMIT 256)
           || stopped;
    IF cardinality(due) = 0 THEN
        RETURN;
    END IF;
    due := ARRAY(SELECT i.id FROM df.instances i WHERE i.id = ANY (due) AND i.started_at IS NULL AND NOT i.ready
                   AND (NOT i.held OR i.id = ANY (stopped))
                 FOR UPDATE SKIP LOCKED);
    IF cardinality(due) = 0 THEN
        RETURN;
    END IF;
    UPDATE df.instances i
    SET input = CASE WHEN c.id IS NULL THEN i.input ELSE c.input END, due_at = coalesce(c.due_at, i.due_at),
        ready = coalesce(c.due_at, i.due_at) <= moment OR u.id = ANY (stopped), held = false, updated_at = moment,
        waiting_for = CASE WHEN i.paused OR coalesce(c.due_at, i.due_at) > moment THEN i.waiting_for END
    FROM unnest(due) AS u(id) LEFT JOIN LATERAL (
        SELECT d.id, d.input, d.due_at FROM df.debounces d WHERE d.instance_id = u.id ORDER BY d.id DESC LIMIT 1) AS c ON true
    WHERE i.id = u.id;
    DELETE FROM df.debounces d WHERE d.instance_id = ANY (due);
END $$;
