-- Writes a SQL step's checkpoint in the transaction of its effect. Called on the submitter's connection.
--
-- `token` is the activation's: sha256(fence token, path in UTF-8). It can be learned by the step itself, so it
-- gives nothing but this one record: of this instance, this path, once, to this submitter's own session, with a
-- result of the step's choice. With `finish` and no cancel request it also ends the instance.
-- Raises DX001 (not your fence), DX002 (recorded already), DF501 (result too large), 22023 (not a result).
-- Locks: the fence FOR NO KEY UPDATE, then the instance. The journal number is taken under the fence's lock.
CREATE OR REPLACE FUNCTION df.checkpoint(
    token bytea, instance text, path text, columns text[], types oid[], cells text[], row_count bigint, finish json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    width constant integer := cardinality($4);
BEGIN
    PERFORM FROM df.fences f
    WHERE f.instance_id = $2 AND sha256(f.token || convert_to($3, 'UTF8')) = $1
      AND f.submitted_by = quote_ident(session_user)::regrole
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fence of instance % is not yours', $2 USING ERRCODE = 'DX001',
            DETAIL = 'Another worker has taken the instance over, it has ended, or the token is not for this step.';
    END IF;
    IF ($7 > df._result_rows_max() AND width > 0) OR pg_column_size($6) > df._result_bytes_max() THEN
        RAISE EXCEPTION 'step % returns too much: % rows, % bytes', $3, $7, pg_column_size($6) USING ERRCODE = 'DF501',
            DETAIL = format('A result may have %s rows and %s bytes (result_rows_max, result_bytes_max).',
                            df._result_rows_max(), df._result_bytes_max()),
            HINT = 'Keep the data in a table (CREATE TABLE ... AS, INSERT ... SELECT) and let the step return a count or a key.';
    END IF;
    IF ($7 < 0 OR cardinality($5) <> width OR cardinality($6) <> (CASE WHEN width = 0 THEN 0 ELSE width * $7 END)
        OR array_position($4, NULL) IS NOT NULL OR array_position($5, NULL) IS NOT NULL) IS NOT FALSE THEN
        RAISE EXCEPTION 'step % does not return a result', $3 USING ERRCODE = '22023',
            DETAIL = 'columns and types have one element a column, cells one a column and row.';
    END IF;
    journal := nextval('df.journal');
    INSERT INTO df.checkpoints (instance_id, path, journal, kind, columns, types, cells, row_count, started_at)
    VALUES ($2, $3, journal, 'completed', $4, $5, $6, $7, transaction_timestamp()) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'step % of instance % has a checkpoint already', $3, $2 USING ERRCODE = 'DX002',
            DETAIL = 'An earlier attempt has been recorded.';
    END IF;
    finished := false;
    IF $8 IS NOT NULL THEN
        cancel_reason := df._cancel_reason($2);
        IF cancel_reason IS NULL THEN
            PERFORM df._end_instance($2, $8);
            finished := true;
        END IF;
    END IF;
END $$;
