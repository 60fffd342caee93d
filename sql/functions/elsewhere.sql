-- What the worker asks about steps in other databases (docs/adr/0025-other-databases.md). `token` is the fence's
-- in all of them, and DX001 says that it is not the fence's any more.

-- For how long at most a permit could be of use, with room for clocks that are put right. Locks: none.
CREATE OR REPLACE FUNCTION df._permit_seconds_max() RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 600::double precision $$;

-- Why the submitter's steps cannot run in a database; nothing where they can. Raises 3D000, 42501. Locks: none.
CREATE OR REPLACE FUNCTION df._check_database(database text, role name) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE
    connects boolean;
BEGIN
    SELECT d.datallowconn AND pg_catalog.has_database_privilege(role, d.oid, 'CONNECT') INTO connects
    FROM pg_catalog.pg_database d WHERE d.datname = database;
    IF connects IS NULL THEN
        RAISE EXCEPTION 'database "%" does not exist', database USING ERRCODE = '3D000',
            DETAIL = 'Steps run in this database, or in another one of the same cluster.',
            HINT = 'SELECT datname FROM pg_database shows them.';
    ELSIF NOT connects THEN
        RAISE EXCEPTION 'permission denied for database "%"', database USING ERRCODE = '42501',
            DETAIL = pg_catalog.format('Role %I may not connect to it.', role),
            HINT = pg_catalog.format('GRANT CONNECT ON DATABASE %I TO %I', database, role);
    END IF;
END $$;

-- Lets the worker put up the instance's fence in another database: `epoch` is higher than what any earlier holder
-- of the fence got, since it is taken under the fence's lock. Good for as long as df_markers.enter says. `recorded`
-- are paths whose records are here, and whose markers may still be there.
-- Raises 3D000, 42501. Locks: the fence FOR NO KEY UPDATE, then the row of df.elsewhere.
CREATE OR REPLACE FUNCTION df._permit(
    token bytea, instance text, database text, OUT key bytea, OUT epoch bigint, OUT issued_at timestamptz,
    OUT recorded text[])
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    submitter regrole;
BEGIN
    PERFORM df._lock_fence($1, $2);
    SELECT f.submitted_by INTO submitter FROM df.fences f WHERE f.instance_id = $2;
    PERFORM df._check_database($3, pg_get_userbyid(submitter::oid));
    epoch := nextval('df.journal');
    issued_at := clock_timestamp();
    INSERT INTO df.elsewhere AS e (instance_id, database, submitted_by, key, permitted_at)
    VALUES ($2, $3, submitter, sha256(df._new_token() || df._new_token()), issued_at)
    ON CONFLICT (instance_id, database) DO UPDATE SET permitted_at = excluded.permitted_at
    RETURNING e.key, e.recorded INTO key, recorded;
END $$;

-- The databases where the instance may have something, with the paths that are recorded here. Locks: none.
CREATE OR REPLACE FUNCTION df._elsewhere(token bytea, instance text) RETURNS TABLE (database name, recorded text[])
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.database, e.recorded FROM df.elsewhere e
    WHERE e.instance_id = $2 AND EXISTS (SELECT FROM df.fences f WHERE f.instance_id = $2 AND f.token = $1)
$$;

-- Takes note that `paths` are recorded here, and that the markers of `gone` are not there any more; in the
-- transaction of the record. Locks: the row of df.elsewhere, after the fence.
CREATE OR REPLACE FUNCTION df._note_elsewhere(token bytea, instance text, database text, paths text[], gone text[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    UPDATE df.elsewhere e
    SET recorded = ARRAY(SELECT r FROM unnest(e.recorded) AS r WHERE r <> ALL ($5) AND r <> ALL ($4)) || $4
    WHERE e.instance_id = $2 AND e.database = $3;
END $$;

-- Records what a step has done in another database. Types that are not PostgreSQL's own come with their names, and
-- with what to take them for where there is no such type here. `rider` is the end of the instance or null, `note`
-- stands in the record. Raises DX001, DX002 (recorded already). Locks: the fence, the row of df.elsewhere, the instance.
CREATE OR REPLACE FUNCTION df._record_rows(
    token bytea, instance text, path text, columns text[], types oid[], type_names text[], cells text[], row_count bigint,
    rider json, note text, database text, gone text[],
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text, OUT own_types oid[])
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._note_elsewhere($1, $2, $11, ARRAY[$3], $12);
    own_types := ARRAY(SELECT CASE WHEN t.name IS NULL THEN t.type ELSE coalesce(to_regtype(t.name)::oid, t.type) END
                       FROM unnest($5, $6) WITH ORDINALITY AS t(type, name, n) ORDER BY t.n);
    journal := nextval('df.journal');
    finished := false;
    INSERT INTO df.checkpoints (instance_id, path, journal, kind, columns, types, cells, row_count, note)
    VALUES ($2, $3, journal, 'completed', $4, own_types, $7, $8, $10) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM df._recorded_already($2, $3);
    END IF;
    IF $9 IS NOT NULL THEN
        cancel_reason := df._end_unless_cancelled($2, $9);
        finished := cancel_reason IS NULL;
    END IF;
END $$;

-- What is left in other databases of instances that have ended: nobody can come there any more. Locks: none.
CREATE OR REPLACE FUNCTION df._left_elsewhere(roles name[], max integer)
RETURNS TABLE (instance_id text, database name, role name, key bytea, is_there boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.instance_id, e.database, pg_get_userbyid(e.submitted_by::oid), e.key,
           EXISTS (SELECT FROM pg_database d WHERE d.datname = e.database)
    FROM df.elsewhere e
    WHERE e.permitted_at < clock_timestamp() - make_interval(secs => df._permit_seconds_max())
      AND NOT EXISTS (SELECT FROM df.fences f WHERE f.instance_id = e.instance_id)
      AND ($1 IS NULL OR pg_get_userbyid(e.submitted_by::oid) = ANY ($1))
    LIMIT $2
$$;

-- What is known to be gone there is forgotten here. Locks: the rows.
CREATE OR REPLACE FUNCTION df._forget_elsewhere(database text, keys bytea[]) RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM df.elsewhere e WHERE e.database = $1 AND e.key = ANY ($2)
$$;
