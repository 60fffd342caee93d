-- Writes a SQL step's checkpoint in the transaction of its effect. Called on the submitter's connection.
--
-- `token` is the activation's (df._lock_activation). It can be learned by the step itself, so it gives nothing but
-- this one record: of this instance, this path, once, to this submitter's own session, with a result of the
-- step's choice. `rider` is what goes along (df._ride), null for nothing. {"within": true} says that more steps follow in
-- this transaction: the fence is only looked at then, so that no other step waits for it, and df.commit_steps locks it.
-- Raises DX001 (not your fence), DX002 (recorded already), DX004 (the decision came too late), DF501 (result too
-- large), 22023 (not a result).
-- Locks: the fence FOR NO KEY UPDATE, then what the rider locks. The journal number is taken under the fence's lock.
CREATE OR REPLACE FUNCTION df.checkpoint(
    token bytea, instance text, path text, columns text[], types oid[], cells text[], row_count bigint, rider json,
    OUT journal bigint, OUT finished boolean, OUT cancel_reason text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    width constant integer := cardinality($4);
    rides constant text := CASE WHEN $8 IS NULL THEN 'nothing' WHEN $8 ->> 'status' IS NOT NULL THEN 'end'
                                WHEN $8 ->> 'within' IS NOT NULL THEN 'within' ELSE 'more' END;
    alone boolean := false;
BEGIN
    IF rides = 'within' THEN
        PERFORM df._check_activation($1, $2, $3);
    ELSE
        PERFORM df._lock_activation($1, $2, $3);
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
    IF rides = 'more' THEN
        alone := df._rides_alone($8, $3);
    END IF;
    journal := nextval('df.journal');
    finished := false;
    IF NOT alone THEN
        INSERT INTO df.checkpoints (instance_id, path, journal, kind, columns, types, cells, row_count, started_at)
        VALUES ($2, $3, journal, 'completed', $4, $5, $6, $7, transaction_timestamp()) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            PERFORM df._recorded_already($2, $3);
        END IF;
    END IF;
    IF rides = 'more' THEN
        PERFORM df._ride($2, $3, journal, $8, CASE WHEN alone THEN df._outcome_of_rows($4, $5, $6, $7) END);
    ELSIF rides = 'end' THEN
        cancel_reason := df._end_unless_cancelled($2, $8);
        finished := cancel_reason IS NULL;
    END IF;
END $$;
