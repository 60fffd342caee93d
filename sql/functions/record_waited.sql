-- The end of a wait for a moment, as df._record. Where its timer is for a moment that was given, and the clock has been
-- set back in front of it, nothing is recorded: `remaining` says in how many seconds to come again; otherwise it is null.
-- Locks: as df._record.
CREATE OR REPLACE FUNCTION df._record_waited(
    token bytea, instance text, path text, value json, rider json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text, OUT remaining double precision)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    remaining := (SELECT date_part('epoch', k.due_at - clock_timestamp()) FROM df.marks k
                  WHERE k.instance_id = $2 AND k.path = $3 || '/timer' AND k.fixed AND k.due_at > clock_timestamp());
    IF remaining IS NULL THEN
        SELECT r.journal, r.finished, r.cancel_reason INTO journal, finished, cancel_reason
        FROM df._record($1, $2, $3, 'completed', $4, NULL, $5) AS r;
    END IF;
END $$;
