-- The query of a map stores its rows as items, on the submitter's connection and in one transaction: df.map_fill
-- for each block of rows, then df.checkpoint_items, which makes them count.
--
-- `token` is the activation's, for `path`, which is the map's own path and /items. The blocks come in order: `first` is
-- the number of the block's first row, from 1; all blocks but the last have a multiple of batch_size rows. `cells`
-- are the rows', flat. Gives the number of the last item. A token that was learned gives nothing but the items of this
-- map, until they are recorded.
-- Raises DX001 (not your fence), DX002 (recorded already), 22023 (not such a block).
-- Locks: none but the new rows': the fence is looked at, so that a long query keeps no other step from recording, and
-- locked by df.checkpoint_items. (So a second attempt waits for the map's new row until the first has ended.)
CREATE OR REPLACE FUNCTION df.map_fill(
    token bytea, instance text, path text, first bigint, columns text[], types oid[], cells text[], rows integer,
    batch_size integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    width constant integer := cardinality($5);
    own constant text := left($3, -6);
    mine bigint;
    begins constant bigint := ($4 - 1) / nullif($9, 0) + 1;
BEGIN
    PERFORM FROM df.fences f
    WHERE f.instance_id = $2 AND sha256(f.token || convert_to($3, 'UTF8')) = $1
      AND f.submitted_by = quote_ident(session_user)::regrole;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fence of instance % is not yours', $2 USING ERRCODE = 'DX001',
            DETAIL = 'Another worker has taken the instance over, it has ended, or the token is not for this map.';
    END IF;
    IF ($3 LIKE '%_/items' AND $8 > 0 AND $9 > 0 AND $4 > 0 AND ($4 - 1) % $9 = 0 AND cardinality($6) = width
        AND cardinality($7) = width * $8 AND array_position($5, NULL) IS NULL AND array_position($6, NULL) IS NULL) IS NOT TRUE
    THEN
        RAISE EXCEPTION 'this is not a block of rows for map %', own USING ERRCODE = '22023',
            DETAIL = 'columns and types have one element a column, cells one a column and row; first follows whole batches.';
    END IF;
    IF $4 = 1 THEN
        mine := df._new_map($2, own, $5, $6, $9);
    ELSE
        SELECT m.map INTO mine FROM df.maps m
        WHERE m.instance_id = $2 AND m.path = own AND m.items IS NULL AND m.columns = $5 AND m.batch_size = $9
          AND EXISTS (SELECT FROM df.map_items i WHERE i.map = m.map AND i.item = begins - 1);
        IF NOT FOUND THEN
            PERFORM FROM df.checkpoints c WHERE c.instance_id = $2 AND c.path = $3;
            IF FOUND THEN
                PERFORM df._recorded_already($2, $3);
            END IF;
            RAISE EXCEPTION 'row % of map % does not follow what is stored', $4, own USING ERRCODE = '22023',
                DETAIL = 'Blocks come in order, with the same columns and the same batch_size.';
        END IF;
    END IF;
    RETURN df._fill_items(mine, begins, width, $7, $8, $9);
END $$;

-- Records that the map whose items were filled has `items` of them (0: none were; then the columns are what they
-- would have had). Gives the journal number. Raises as df.map_fill.
-- Locks: the fence FOR NO KEY UPDATE, then the map's row.
CREATE OR REPLACE FUNCTION df.checkpoint_items(
    token bytea, instance text, path text, columns text[], types oid[], items bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    own constant text := left($3, -6);
    width constant integer := cardinality($4);
BEGIN
    PERFORM df._lock_activation($1, $2, $3);
    IF ($3 LIKE '%_/items' AND $6 >= 0 AND cardinality($5) = width AND array_position($4, NULL) IS NULL
        AND array_position($5, NULL) IS NULL) IS NOT TRUE THEN
        RAISE EXCEPTION 'step % does not record items', $3 USING ERRCODE = '22023',
            DETAIL = 'columns and types have one element a column, items is a number.';
    END IF;
    IF $6 = 0 THEN
        PERFORM df._new_map($2, own, $4, $5, 1);
    END IF;
    PERFORM FROM df.maps m
    WHERE m.instance_id = $2 AND m.path = own AND m.columns = $4
      AND ($6 = 0 OR EXISTS (SELECT FROM df.map_items i WHERE i.map = m.map AND i.item = $6))
      AND NOT EXISTS (SELECT FROM df.map_items i WHERE i.map = m.map AND i.item = $6 + 1);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'map % has not been filled with % items', own, $6 USING ERRCODE = '22023',
            DETAIL = 'df.map_fill stores them, in the same transaction.';
    END IF;
    RETURN df._record_items($2, $3, $4, $5, $6);
END $$;
