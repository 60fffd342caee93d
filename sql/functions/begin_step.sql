-- The guard in front of every step, first in its pipeline: nothing of the step before may be left.
--
-- It asks the server what is there instead of guessing from the text. DX003: the connection is of no use any
-- more, close it. Otherwise all settings are the connection's own again, session advisory locks and lastval() are gone, and
-- search_path and time zone are the submitter's for this transaction. A SET LOCAL for the step comes after it.
-- The executor's own prepared statements come through the protocol; one made with PREPARE is a step's.
-- `isolation` is the level that the transaction has begun with on purpose.
-- Locks: none. SECURITY INVOKER: it has to see the role that the session plays.
CREATE OR REPLACE FUNCTION df.begin_step(search_path text, time_zone text, isolation text DEFAULT 'read committed')
RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    found text;
BEGIN
    found := CASE
        WHEN pg_catalog.pg_my_temp_schema() <> 0::oid THEN 'a temporary schema'
        -- Then what came with this call was misread.
        WHEN pg_catalog.current_setting('client_encoding') <> 'UTF8' THEN 'another client_encoding'
        WHEN CURRENT_USER <> SESSION_USER THEN 'a role other than the session user'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_listening_channels()) THEN 'a listened channel'
        -- The portal without a name is this very call, through the extended protocol.
        WHEN EXISTS (SELECT FROM pg_catalog.pg_cursor() AS c WHERE c.name <> '') THEN 'a cursor'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() AS p WHERE p.from_sql) THEN 'a prepared statement'
        -- RESET ALL comes too late for these: the transaction has begun with them.
        WHEN pg_catalog.current_setting('transaction_read_only') <> 'off'
          OR pg_catalog.current_setting('transaction_isolation') <> $3
          OR pg_catalog.current_setting('transaction_deferrable') <> 'off' THEN 'transaction settings'
    END;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'the session is not clean: it has %', found USING ERRCODE = 'DX003',
            HINT = 'An earlier step has left it. Close the connection.';
    END IF;
    RESET ALL;
    DISCARD SEQUENCES;
    PERFORM pg_catalog.pg_advisory_unlock_all(),
            pg_catalog.set_config('search_path', $1, true),
            pg_catalog.set_config('TimeZone', $2, true),
            pg_catalog.set_config('df.in_workflow', 'true', true);
END $$;
