-- Writes the marker of a step in the transaction of its effect: what df.checkpoint is where the workflow is, and called
-- in its place, so it has the same arguments. `token` is the instance's key here. `rider` has the epoch, the paths
-- whose markers are not needed any more (`gone`), and {"within": true} where more steps follow in this transaction.
-- Raises DX001 (another epoch is up, or none), DX002 (there is a marker), DF501 (result too large).
-- Locks: the fence FOR NO KEY UPDATE, but for `within`: df_markers.commit_steps does it then.
CREATE OR REPLACE FUNCTION df_markers.checkpoint(
    token bytea, instance text, path text, columns text[], types oid[], cells text[], row_count bigint, rider json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    width constant integer := cardinality($4);
    names text[];
    bases oid[];
BEGIN
    PERFORM df_markers._check_fence($1, $2, ($8 ->> 'epoch')::bigint, $8 ->> 'within' IS NULL);
    IF ($7 > 10000 AND width > 0) OR pg_column_size($6) > 16777216 THEN
        RAISE EXCEPTION 'step % returns too much: % rows, % bytes', $3, $7, pg_column_size($6) USING ERRCODE = 'DF501',
            DETAIL = 'A result may have 10000 rows and 16777216 bytes (result_rows_max, result_bytes_max).',
            HINT = 'Keep the data in a table (CREATE TABLE ... AS, INSERT ... SELECT) and let the step return a count or a key.';
    END IF;
    SELECT array_agg(t.base ORDER BY t.n), array_agg(t.name ORDER BY t.n) INTO bases, names
    FROM (SELECT u.n, CASE WHEN u.type >= 16384 THEN format('%I.%I', s.nspname, p.typname) END AS name,
                 CASE WHEN u.type >= 16384 THEN df_markers._own_base(u.type) ELSE u.type END AS base
          FROM unnest($5) WITH ORDINALITY AS u(type, n)
          LEFT JOIN pg_type p ON p.oid = u.type LEFT JOIN pg_namespace s ON s.oid = p.typnamespace) AS t;
    INSERT INTO df_markers.markers (key, path, columns, types, type_names, cells, row_count)
    VALUES ($1, $3, $4, coalesce(bases, '{}'), coalesce(names, '{}'), $6, $7) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'step % of instance % has a marker already', $3, $2 USING ERRCODE = 'DX002',
            DETAIL = 'An earlier attempt has committed.';
    END IF;
    IF $8 -> 'gone' IS NOT NULL THEN
        DELETE FROM df_markers.markers m WHERE m.key = $1 AND m.path IN (SELECT json_array_elements_text($8 -> 'gone'));
    END IF;
    journal := 0;
    finished := false;
END $$;

-- The end of a transaction of several steps. Raises DX001. Locks: the fence FOR NO KEY UPDATE.
CREATE OR REPLACE FUNCTION df_markers.commit_steps(token bytea, instance text, epoch bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM df_markers._check_fence($1, $2, $3, true);
END $$;

-- Raises DX001 where the fence has another epoch, or is another's. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df_markers._check_fence(token bytea, instance text, epoch bigint, lock boolean) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF lock THEN
        PERFORM FROM df_markers.fences f
        WHERE f.key = $1 AND f.epoch = $3 AND f.submitted_by = quote_ident(session_user)::regrole
        FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM df_markers.fences f
        WHERE f.key = $1 AND f.epoch = $3 AND f.submitted_by = quote_ident(session_user)::regrole;
    END IF;
    IF NOT FOUND THEN
        PERFORM df_markers._not_yours($2);
    END IF;
END $$;

-- What a type that is not PostgreSQL's own is to be taken for where it is not known: of a domain the type below it,
-- where that is PostgreSQL's own; else text. Locks: none. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df_markers._own_base(type oid) RETURNS oid
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE base(type) AS (
        SELECT $1
        UNION ALL SELECT p.typbasetype FROM base b JOIN pg_catalog.pg_type p ON p.oid = b.type WHERE p.typtype = 'd'
    )
    SELECT coalesce((SELECT b.type FROM base b WHERE b.type < 16384 AND b.type <> 0), 25::oid)
$$;
