-- df.start with transaction_mode => 'new': in a transaction of its own, on a connection that dblink makes to this very
-- database, as the current user (docs/adr/0026-a-transaction-of-its-own.md). `given` are the arguments.
--
-- A foreign server named dfc says how, where there is one; else it is the server's first socket. Its caller may roll back:
-- the instance stays. What the caller has not committed is not seen there (variables, definitions).
-- Raises 0A000 where there is no such connection, 55P03 after 5 s of waiting for somebody else's start under a key, and what
-- df.start raises there. Locks: none here.
CREATE OR REPLACE FUNCTION df._start_anew(given jsonb) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    path constant text := pg_catalog.current_setting('search_path');
    zone constant text := pg_catalog.current_setting('TimeZone');
    me constant text := CURRENT_USER;
    home text;
    target constant text := df._dblink_to(me);
    said text;
    name constant text := 'dfc' || pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', '');
    arguments text;
    started text;
BEGIN
    SELECT pg_catalog.quote_ident(n.nspname) INTO home
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'dblink' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE');
    IF home IS NULL THEN
        RAISE EXCEPTION 'transaction_mode ''new'' needs the extension dblink' USING ERRCODE = '0A000',
            DETAIL = 'A function of PostgreSQL has no transaction of its own; dblink makes another connection.',
            HINT = 'CREATE EXTENSION dblink; or start the workflow on a connection of its own.';
    END IF;
    BEGIN
        EXECUTE pg_catalog.format('SELECT %s.%I($1, $2)', home, df._dblink_way(home, target)) USING name, target;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS said = PG_EXCEPTION_DETAIL;
        RAISE EXCEPTION 'transaction_mode ''new'' cannot connect as %', pg_catalog.quote_ident(me) USING ERRCODE = '0A000',
            DETAIL = pg_catalog.concat_ws(': ', SQLERRM, nullif(said, '')),
            HINT = 'An administrator makes a foreign server named dfc with a user mapping, or grants dblink_connect_u(text, text); '
                   'or start the workflow on a connection of its own.';
    END;
    BEGIN
        EXECUTE pg_catalog.format('SELECT t.a FROM %s.dblink($1, $2) AS t(a text)', home) INTO said
        USING name, pg_catalog.format(
            'SELECT pg_catalog.concat_ws(''/'', CURRENT_USER, pg_catalog.current_database(), '
            'pg_catalog.set_config(''search_path'', %L, false), pg_catalog.set_config(''TimeZone'', %L, false), '
            'pg_catalog.set_config(''lock_timeout'', ''5s'', false))', path, zone);
        IF said IS DISTINCT FROM pg_catalog.concat_ws('/', me, pg_catalog.current_database(), path, zone, '5s') THEN
            RAISE EXCEPTION 'transaction_mode ''new'' has connected as somebody else, or to somewhere else' USING ERRCODE = '0A000',
                DETAIL = said, HINT = 'The foreign server dfc has to lead to this database, and its user mapping to the same role.';
        END IF;
        SELECT pg_catalog.string_agg(pg_catalog.format('%I => %L', g.key, g.value), ', ') INTO arguments
        FROM pg_catalog.jsonb_each_text(given) AS g WHERE g.value IS NOT NULL AND g.key <> 'fut';
        EXECUTE pg_catalog.format('SELECT t.a FROM %s.dblink($1, $2) AS t(a text)', home) INTO started
        USING name, pg_catalog.format('SELECT df.start(fut => %L::text%s)', given ->> 'fut', ', ' || arguments);
    EXCEPTION
        -- Where the caller itself has started something under the key, nobody sees that the two wait for each other.
        WHEN lock_not_available THEN
            EXECUTE pg_catalog.format('SELECT %s.dblink_disconnect($1)', home) USING name;
            RAISE EXCEPTION 'transaction_mode ''new'' has waited for another transaction for 5 s' USING ERRCODE = '55P03',
                DETAIL = 'A start under the same key has not been committed: by another session, or by this transaction itself.',
                HINT = 'Commit first what was started under the key, or start both in the caller''s transaction.';
        WHEN OTHERS THEN
            EXECUTE pg_catalog.format('SELECT %s.dblink_disconnect($1)', home) USING name;
            RAISE;
    END;
    EXECUTE pg_catalog.format('SELECT %s.dblink_disconnect($1)', home) USING name;
    RETURN started;
END $$;

-- The function that connects. dblink_connect_u lets whoever was given it connect as the server itself may; it runs as its
-- owner, whose user mapping a foreign server would look for. Locks: none.
CREATE OR REPLACE FUNCTION df._dblink_way(home text, target text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN target <> 'dfc'
                 AND pg_catalog.has_function_privilege(pg_catalog.to_regprocedure(home || '.dblink_connect_u(text, text)')::oid, 'EXECUTE')
                THEN 'dblink_connect_u' ELSE 'dblink_connect' END
$$;

-- A value in a connection string. Locks: none.
CREATE OR REPLACE FUNCTION df._dblink_value(value text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT '''' || pg_catalog.replace(pg_catalog.replace(value, '\', '\\'), '''', '\''') || ''''
$$;

-- Where it connects to. Locks: none.
CREATE OR REPLACE FUNCTION df._dblink_to(role text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT s.srvname::text FROM pg_catalog.pg_foreign_server s
         WHERE s.srvname = 'dfc' AND pg_catalog.has_server_privilege(s.oid, 'USAGE')
           AND EXISTS (SELECT FROM pg_catalog.pg_user_mappings m WHERE m.srvid = s.oid AND (m.umuser = 0 OR m.usename = role))),
        pg_catalog.concat_ws(' ',
            'host=' || df._dblink_value(
                CASE WHEN pg_catalog.pg_has_role('pg_read_all_settings', 'USAGE')
                     THEN nullif(pg_catalog.btrim(pg_catalog.split_part(pg_catalog.current_setting('unix_socket_directories'), ',', 1), ' "'), '') END),
            'port=' || pg_catalog.current_setting('port'), 'connect_timeout=5',
            'dbname=' || df._dblink_value(pg_catalog.current_database()), 'user=' || df._dblink_value(role)))
$$;
