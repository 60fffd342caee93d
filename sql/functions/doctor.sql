-- What this session would get: one row a check, `ok` or what is wrong and what to do.

-- Facts that the session may not look up itself. SECURITY DEFINER. Locks: none.
CREATE OR REPLACE FUNCTION df._doctor_facts(
    OUT schema_version integer, OUT database_is_copy boolean, OUT cluster_is_copy boolean, OUT workers bigint, OUT workers_alive bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cluster bigint;
BEGIN
    BEGIN
        SELECT c.system_identifier INTO cluster FROM pg_control_system() c;
    EXCEPTION WHEN insufficient_privilege THEN
        cluster := NULL;
    END;
    SELECT m.schema_version, m.database_oid IS DISTINCT FROM d.oid, m.system_identifier <> cluster
        INTO schema_version, database_is_copy, cluster_is_copy
    FROM df.meta m, pg_database d WHERE d.datname = current_database();
    SELECT count(*), count(*) FILTER (WHERE df._within_lease(w.heartbeat_at, w.lease_seconds))
        INTO workers, workers_alive FROM df.workers w;
END $$;

-- SECURITY INVOKER and without a SET clause: it judges the session's own role and search_path. Locks: none.
CREATE OR REPLACE FUNCTION df.doctor() RETURNS TABLE ("check" text, status text, detail text, hint text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    facts record;
    o record;
    found oid;
BEGIN
    SELECT * INTO facts FROM df._doctor_facts();
    "check" := 'server'; status := 'ok'; hint := NULL;
    detail := 'PostgreSQL ' || pg_catalog.current_setting('server_version');
    RETURN NEXT;
    "check" := 'schema'; detail := 'version ' || facts.schema_version;
    RETURN NEXT;
    "check" := 'database';
    IF facts.database_is_copy OR facts.cluster_is_copy IS TRUE THEN
        status := 'error'; detail := 'this database is a copy'; hint := 'Run dfc adopt to let workflows run here.';
    ELSIF facts.cluster_is_copy IS NULL THEN
        detail := 'the original, as far as the server tells (pg_control_system is not allowed)';
    ELSE
        detail := 'the original';
    END IF;
    RETURN NEXT;
    "check" := 'worker';
    status := CASE WHEN facts.workers_alive > 0 THEN 'ok' ELSE 'error' END;
    detail := facts.workers_alive || ' alive';
    hint := CASE WHEN facts.workers_alive = 0 THEN 'Start one: dfc worker --database ...' END;
    RETURN NEXT;
    "check" := 'submitters'; status := 'ok'; detail := 'nobody waits for a worker of their own'; hint := NULL;
    FOR o IN SELECT * FROM df._unserved() LOOP
        status := 'error'; hint := o.hint;
        detail := pg_catalog.format('no worker serves role %I: %s waiting, the oldest is %s', o.role, o.waiting, o.oldest);
        RETURN NEXT;
    END LOOP;
    IF status = 'ok' THEN
        RETURN NEXT;
    END IF;
    "check" := 'plans'; status := 'error';
    FOR o IN SELECT * FROM df._unreadable() LOOP
        detail := pg_catalog.format('no worker reads plans of format %s: %s waiting, the oldest is %s', o.format, o.waiting, o.oldest);
        hint := 'Upgrade dfc where workers run.';
        RETURN NEXT;
    END LOOP;
    "check" := 'rights';
    detail := 'role ' || CURRENT_USER || ' may start workflows'; status := 'ok'; hint := NULL;
    IF NOT (pg_catalog.has_column_privilege('df.instances', 'expression', 'INSERT')
            AND pg_catalog.has_table_privilege('df.instances', 'SELECT')) THEN
        status := 'error'; detail := 'role ' || CURRENT_USER || ' may not start workflows';
        hint := pg_catalog.format('An administrator runs SELECT df.grant_usage(%L).', CURRENT_USER);
    END IF;
    RETURN NEXT;
    FOR o IN SELECT * FROM (VALUES ('~>', 'seq', false), ('|=>', 'as_op', false), ('&', 'join', false), ('|', 'race', false),
                                   ('?>', 'if_then_op', false), ('!>', 'if_else_op', false), ('@>', 'loop_prefix_op', true))
                             AS v(name, function, prefix)
    LOOP
        "check" := 'operator ' || o.name; status := 'ok'; hint := NULL;
        found := pg_catalog.to_regoperator(o.name || CASE WHEN o.prefix THEN '(none,text)' ELSE '(text,text)' END);
        SELECT 'in schema ' || n.nspname, p.pronamespace = 'df'::regnamespace AND p.proname = o.function
            INTO detail, status
        FROM pg_catalog.pg_operator x JOIN pg_catalog.pg_namespace n ON n.oid = x.oprnamespace
             JOIN pg_catalog.pg_proc p ON p.oid = x.oprcode
        WHERE x.oid = found;
        IF found IS NULL THEN
            status := 'error'; detail := 'not found on the search_path ' || pg_catalog.current_setting('search_path');
            hint := pg_catalog.format('SET search_path = "$user", public, df; or for everybody: ALTER DATABASE %I SET search_path = ...',
                                      pg_catalog.current_database());
        ELSIF status::boolean THEN
            status := 'ok';
        ELSE
            status := 'error'; detail := 'another operator, ' || detail; hint := 'Drop it, or take its schema off the search_path.';
        END IF;
        RETURN NEXT;
    END LOOP;
    "check" := 'notify'; status := 'ok'; detail := 'workers are woken at once'; hint := NULL;
    IF pg_catalog.current_setting('df.notify', true) IN ('off', 'false', 'no', '0') THEN
        status := 'warning'; detail := 'off: workers find new instances when they look'; hint := 'RESET df.notify';
    END IF;
    RETURN NEXT;
END $$;
