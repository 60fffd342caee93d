-- Instances that have ended go when their time is over, with all that belongs to them (docs/adr/0036-retention.md).

-- The id that an instance which was started at this moment would have at least. Locks: none.
CREATE OR REPLACE FUNCTION df._first_id(moment timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT substr(h.x, 1, 8) || '-' || substr(h.x, 9, 4) || '-7000-8000-000000000000'
    FROM (SELECT lpad(to_hex(greatest((date_part('epoch', moment) * 1000)::bigint, 0)), 12, '0') AS x) AS h
$$;

-- How long instances that have ended are kept in this database; NULL: for ever, which is how it begins. What a
-- definition says of its own counts for its instances. With `archive` their rows go to df.archived, otherwise nothing is left.
-- For the owner of the schema. Raises 22023. Locks: the row of df.retention.
CREATE OR REPLACE FUNCTION df.set_retention(keep_finished interval, archive boolean DEFAULT false) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_variable
DECLARE
    kept constant interval := df._check_kept('df.set_retention', keep_finished);
BEGIN
    -- The pass that is under way begins anew, and at once.
    UPDATE df.retention r SET keep_finished = kept, archive = coalesce(set_retention.archive, false),
                              stage = interval '0', behind = 'z', passed_at = '-infinity';
    RETURN 'Finished instances are kept '
           || CASE WHEN kept IS NULL THEN 'for ever' ELSE 'for ' || set_retention.keep_finished END
           || CASE WHEN kept IS NULL AND archive THEN '; what a definition keeps for a time is then archived'
                   WHEN kept IS NULL THEN '' WHEN archive THEN ', then archived' ELSE ', then deleted' END;
END $$;

-- A time to keep something as a number of seconds: a month has 30 days. Raises 22023. Locks: none.
CREATE OR REPLACE FUNCTION df._check_kept(what text, keep_finished interval) RETURNS interval
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF keep_finished <= interval '0' OR keep_finished > interval '1000 years' THEN
        RAISE EXCEPTION '%: keep_finished is %', what, keep_finished USING ERRCODE = '22023',
            DETAIL = 'It is a time over 0, of 1000 years at most.',
            HINT = 'Write it like ''30 days''; NULL says nothing, and what nobody says anything about is kept for ever.';
    END IF;
    RETURN pg_catalog.make_interval(secs => pg_catalog.date_part('epoch', keep_finished));
END $$;

-- Of instances that are locked, those that nobody needs any more. One stays that is to be retried, that somebody waits for,
-- that was called by one which has not ended or has failed (a retry of that goes on with it), and the last of a schedule.
-- A statement of its own behind the lock: it sees what those have committed who had the rows locked. Locks: none.
CREATE OR REPLACE FUNCTION df._unneeded(ids text[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN ARRAY(
        SELECT i.id FROM df.instances i
        WHERE i.id = ANY (ids)
          AND NOT EXISTS (SELECT FROM df.requests r WHERE r.instance_id = i.id AND r.kind = 'retry')
          AND NOT EXISTS (SELECT FROM df.marks m JOIN df.instances w ON w.id = m.instance_id
                          WHERE m.other = i.id AND w.completed_at IS NULL)
          AND NOT EXISTS (SELECT FROM df.instances p
                          WHERE p.id = i.parent AND (p.completed_at IS NULL OR p.status = 'failed'))
          AND NOT EXISTS (SELECT FROM df.schedule_states s WHERE s.id = i.schedule AND s.last_instance = i.id));
END $$;

-- Deletes instances, or moves them to the archive. How many. Locks: their rows, and what belongs to them.
CREATE OR REPLACE FUNCTION df._remove(ids text[], archive boolean) RETURNS integer
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    gone integer;
BEGIN
    IF archive THEN
        INSERT INTO df.archived (id, label, status, submitted_by, definition, definition_version, expression_hash, plan_hash, input,
                                 result, error, idempotency_key, parent, forked_from, created_at, started_at, completed_at)
        SELECT i.id, i.label, i.status, i.submitted_by, i.definition, i.definition_version, i.expression_hash, i.plan_hash, i.input,
               i.result, i.error, i.idempotency_key, i.parent, i.forked_from, i.created_at, i.started_at, i.completed_at
        FROM df.instances i WHERE i.id = ANY (ids);
    END IF;
    DELETE FROM df.instances i WHERE i.id = ANY (ids);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- Takes a piece out of what is to go: `most` instances at most, or 20 times as many items of a map. `more`: there may be more
-- of it now. A pass looks at each instance that was started before its time could be over, once, through indexes that are
-- there anyway, and then the next one begins no sooner than after `pause` seconds, whoever asks. So what waits for a year, or
-- is kept for longer, costs a look in a pass, and where nothing is to go, an asking worker reads two rows.
-- Locks: the row of df.retention, the instances FOR UPDATE, both SKIP LOCKED; then what belongs to them.
CREATE OR REPLACE FUNCTION df._sweep_finished(most integer, pause double precision, OUT gone integer, OUT more boolean)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    moment constant timestamptz := clock_timestamp();
    r df.retention;
    own interval;
    kept interval;
    seen integer;
    last text;
    ids text[];
    left_map bigint;
BEGIN
    gone := 0;
    more := false;
    SELECT x.* INTO r FROM df.retention x;
    SELECT i.keep_finished INTO own FROM df.instances i WHERE i.keep_finished IS NOT NULL ORDER BY i.keep_finished LIMIT 1;
    SELECT m.map INTO left_map FROM df.maps_left m ORDER BY m.map LIMIT 1;
    IF left_map IS NULL AND (coalesce(own, r.keep_finished) IS NULL
                             OR (r.passed_at BETWEEN moment - make_interval(secs => $2) AND moment)) THEN
        RETURN;
    END IF;
    SELECT x.* INTO r FROM df.retention x FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    more := true;
    IF left_map IS NOT NULL THEN
        DELETE FROM df.map_items i WHERE i.map = left_map AND i.item = ANY (ARRAY(
            SELECT x.item FROM df.map_items x WHERE x.map = left_map ORDER BY x.item LIMIT 20 * $1));
        IF NOT FOUND THEN
            DELETE FROM df.maps_left m WHERE m.map = left_map;
        END IF;
        RETURN;
    END IF;
    LOOP
        kept := coalesce(r.stage, r.keep_finished);
        IF r.stage IS NULL THEN
            SELECT count(*), max(w.id) INTO seen, last FROM (
                SELECT i.id FROM df.instances i WHERE i.id > r.behind AND i.id < df._first_id(moment - kept)
                ORDER BY i.id LIMIT 10 * $1) AS w;
        ELSE
            SELECT count(*), max(w.id) INTO seen, last FROM (
                SELECT i.id FROM df.instances i
                WHERE i.keep_finished = r.stage AND i.id > r.behind AND i.id < df._first_id(moment - kept)
                ORDER BY i.id LIMIT 10 * $1) AS w;
        END IF;
        EXIT WHEN seen > 0;
        -- The next time that some have of their own; behind the last of them all that have none.
        IF r.stage IS NOT NULL THEN
            SELECT i.keep_finished INTO own FROM df.instances i WHERE i.keep_finished > r.stage ORDER BY i.keep_finished LIMIT 1;
        END IF;
        IF r.stage IS NULL OR coalesce(own, r.keep_finished) IS NULL THEN
            UPDATE df.retention x SET stage = interval '0', behind = 'z', passed_at = moment;
            more := false;
            RETURN;
        END IF;
        r.stage := own;
        r.behind := '';
    END LOOP;
    IF r.stage IS NULL THEN
        ids := ARRAY(SELECT i.id FROM df.instances i
                     WHERE i.id > r.behind AND i.id <= last AND i.keep_finished IS NULL AND i.completed_at < moment - kept
                     ORDER BY i.id LIMIT $1 FOR UPDATE SKIP LOCKED);
    ELSE
        ids := ARRAY(SELECT i.id FROM df.instances i
                     WHERE i.keep_finished = r.stage AND i.id > r.behind AND i.id <= last AND i.completed_at < moment - kept
                     ORDER BY i.id LIMIT $1 FOR UPDATE SKIP LOCKED);
    END IF;
    UPDATE df.retention x SET stage = r.stage, behind = CASE WHEN cardinality(ids) = $1 THEN ids[$1] ELSE last END;
    gone := df._remove(df._unneeded(ids), r.archive);
END $$;
