-- Starts a timer, unless it runs already: for so many seconds, or to the moment that a text says in the instance's time
-- zone. Gives how many seconds are left (below 0: it is over), and when that is.
-- Raises DX001 for a lost fence, 22007 and 22008 for a text that is no moment. Locks: the fence.
CREATE OR REPLACE FUNCTION df._start_timer(
    token bytea, instance text, path text, seconds double precision, until text DEFAULT NULL,
    OUT remaining double precision, OUT at text)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET DateStyle = 'ISO, MDY'
SET TimeZone = 'UTC' AS $$
#variable_conflict use_column
DECLARE
    now constant timestamptz := clock_timestamp();
    due timestamptz;
BEGIN
    PERFORM df._lock_fence($1, $2);
    PERFORM set_config('TimeZone', i.time_zone, true) FROM df.instances i WHERE i.id = $2;
    PERFORM df._begin_anew($2, now);
    due := (SELECT k.due_at FROM df.marks k WHERE k.instance_id = $2 AND k.path = $3);
    IF due IS NULL THEN
        due := CASE WHEN $5 IS NULL THEN now + make_interval(secs => $4) ELSE $5::timestamptz END;
        IF NOT isfinite(due) THEN
            RAISE EXCEPTION 'the moment "%" never comes', $5 USING ERRCODE = '22008',
                DETAIL = 'A wait has an end.', HINT = 'Wait for a signal, or for a moment that comes.';
        END IF;
        INSERT INTO df.marks (instance_id, path, kind, due_at, made_at, fixed) VALUES ($2, $3, 'timer', due, now, $5 IS NOT NULL);
    END IF;
    remaining := date_part('epoch', due - now);
    at := due::text;
END $$;
