-- Takes a place under a rate limit of the instance's submitter; gives how many seconds to wait before it is there.
--
-- The generic cell rate algorithm: a bucket of `count` tokens, of which one comes each seconds / count. A full
-- bucket lets `count` begin at once; over a long time it is `count` in `seconds`. The place is taken, whatever
-- becomes of it. One that is not there for a second or more (RECORDED_SECONDS of the executor) is recorded as a timer
-- under `path`, which is that of the activation with /turn and the attempt's number behind it: asked for again, it is
-- the same place. That the attempt has begun is forgotten. Where the last turn was taken later than now the clock has been
-- set back: the bucket is as full as it was then.
-- Raises DX001 for a lost fence. Locks: the fence, then the key's row.
CREATE OR REPLACE FUNCTION df._take_turn(token bytea, instance text, path text, key text, count integer, seconds integer)
RETURNS double precision
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    a_token constant double precision := $6::double precision / $5;
    -- What is longer than fits into an index counts by its hash.
    counted constant text := CASE WHEN octet_length($4) <= 1000 THEN $4 ELSE encode(sha256(convert_to($4, 'UTF8')), 'hex') END;
    own constant text := regexp_replace($3, '/turn[0-9]+$', '');
    now timestamptz;
    full_at timestamptz;
    wait double precision;
BEGIN
    PERFORM df._lock_fence($1, $2);
    now := clock_timestamp();
    PERFORM df._begin_anew($2, now);
    SELECT date_part('epoch', k.due_at - now) INTO wait FROM df.marks k WHERE k.instance_id = $2 AND k.path = $3;
    IF FOUND THEN
        RETURN greatest(wait, 0);
    END IF;
    INSERT INTO df.rate_limits AS r (submitted_by, key, full_at, made_at)
    SELECT f.submitted_by, counted, now + make_interval(secs => a_token), now FROM df.fences f WHERE f.instance_id = $2
    ON CONFLICT (submitted_by, key) DO UPDATE
    SET full_at = CASE WHEN r.made_at > clock_timestamp() THEN clock_timestamp() + (r.full_at - r.made_at)
                       ELSE greatest(r.full_at, clock_timestamp()) END + make_interval(secs => a_token),
        made_at = clock_timestamp()
    RETURNING r.full_at INTO full_at;
    wait := greatest(date_part('epoch', full_at - clock_timestamp()) - $6, 0);
    IF wait >= 1 THEN
        INSERT INTO df.marks (instance_id, path, kind, due_at)
        VALUES ($2, $3, 'timer', clock_timestamp() + make_interval(secs => wait));
        DELETE FROM df.attempts_made a WHERE a.instance_id = $2 AND a.path = own AND a.attempts + a.losses = 0;
        UPDATE df.attempts_made a SET begun_at = NULL WHERE a.instance_id = $2 AND a.path = own AND a.begun_at IS NOT NULL;
    END IF;
    RETURN wait;
END $$;

-- Deletes what says nothing any more, a thousand rows at a time (called when workers come and go).
-- Locks: the rows it deletes; those that are locked are left for the next time.
-- Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._forget_rate_limits() RETURNS void
LANGUAGE sql VOLATILE AS $$
    DELETE FROM df.rate_limits d USING (
        SELECT r.submitted_by, r.key FROM df.rate_limits r WHERE r.full_at < clock_timestamp()
        LIMIT 1000 FOR UPDATE SKIP LOCKED) AS old
    WHERE d.submitted_by = old.submitted_by AND d.key = old.key
$$;
