-- Whether instances that are started here are recorded: the setting df.record of the session, its role or its database.
-- Raises 22023 where it is neither on nor off. Locks: none. Called from functions that pin search_path.
CREATE OR REPLACE FUNCTION df._record_setting() RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    setting constant text := lower(coalesce(current_setting('df.record', true), ''));
BEGIN
    IF setting IN ('', 'off', 'false', 'no', '0') THEN
        RETURN false;
    ELSIF setting IN ('on', 'true', 'yes', '1') THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'df.record is "%"', setting USING ERRCODE = '22023',
        DETAIL = 'It says whether what is started is recorded.', HINT = 'SET df.record = on, or off.';
END $$;

-- How far the journal of an instance has been written, for whoever holds it: 0 and 0 bytes when there is none; and whether
-- it is full, so that no more is written.
-- Raises DX001 for a lost fence. Locks: the fence.
CREATE OR REPLACE FUNCTION df._journal_end(token bytea, instance text, OUT number bigint, OUT bytes bigint, OUT is_full boolean)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    SELECT e.number, e.bytes, e.entry ->> 'kind' = 'full' INTO number, bytes, is_full FROM df.journal_entries e
    WHERE e.instance_id = $2 ORDER BY e.number DESC LIMIT 1;
    number := coalesce(number, 0);
    bytes := coalesce(bytes, 0);
    is_full := coalesce(is_full, false);
END $$;

-- Writes entries of the journal, numbered from `first` on, behind `bytes` bytes of earlier ones. May be repeated: what is
-- there already stays. Raises DX001 for a lost fence, so that who has lost it writes nothing. Locks: the fence.
CREATE OR REPLACE FUNCTION df._write_journal(token bytea, instance text, first bigint, bytes bigint, entries text[])
RETURNS void LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM df._lock_fence($1, $2);
    INSERT INTO df.journal_entries (instance_id, number, worker, bytes, entry)
    SELECT $2, $3 + w.place - 1, (SELECT f.worker FROM df.fences f WHERE f.instance_id = $2),
           $4 + sum(octet_length(w.written)) OVER (ORDER BY w.place), w.written::json
    FROM unnest($5) WITH ORDINALITY AS w(written, place)
    ON CONFLICT DO NOTHING;
END $$;
