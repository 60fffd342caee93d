-- Rights of those who submit workflows. Additive; df.revoke_usage takes the same away.
--
-- The columns of INSERT are those that a submitter may choose; everything else about a row is not theirs.
-- `public` means everybody. Raises 42704 for an unknown role. Locks: those of GRANT.
CREATE OR REPLACE FUNCTION df._role_identifier(p_role text) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = p_role) THEN
        RETURN pg_catalog.quote_ident(p_role);
    ELSIF pg_catalog.lower(p_role) = 'public' THEN
        RETURN 'PUBLIC';
    END IF;
    RAISE EXCEPTION 'role "%" does not exist', coalesce(p_role, 'NULL') USING ERRCODE = '42704',
        DETAIL = 'No privilege was changed.', HINT = 'Give the role''s name as it is in pg_roles, without quotes.';
END $$;

-- All functions of these names, as a list for GRANT.
CREATE OR REPLACE FUNCTION df._overloads(VARIADIC names text[]) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT pg_catalog.string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid) FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'df'::regnamespace AND p.proname::text = ANY (names)
$$;

-- The columns of an instance that its submitter may choose. Locks: none.
CREATE OR REPLACE FUNCTION df._submitted_columns() RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT 'label, database, expression, input, priority, queue, definition, due_at, timeout, idempotency_key, '
           'concurrency_key, concurrency_limit, debounce_key, forked_from, fork_step'
$$;

-- What it takes to submit, for a role as an identifier. Locks: those of GRANT.
CREATE OR REPLACE FUNCTION df._grant_submitting(who text, option text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    EXECUTE 'GRANT SELECT, INSERT (' || df._submitted_columns() || ') ON df.instances TO ' || who || option;
    EXECUTE 'GRANT SELECT, INSERT (instance_id, input, due_at) ON df.debounces TO ' || who || option;
    EXECUTE 'GRANT SELECT, INSERT (name, expression, params, on_failure, queue, priority, timeout, concurrency_key, concurrency_limit, keep_finished)'
            ' ON df.definitions TO ' || who || option;
    EXECUTE 'GRANT SELECT, INSERT (name, change, cron, time_zone, workflow, input, overlap, catch_up) ON df.schedule_changes TO '
            || who || option;
    EXECUTE 'GRANT SELECT ON df.archived TO ' || who || option;
    EXECUTE 'GRANT SELECT ON df.schedule_states, df.schedules TO ' || who || option;
END $$;

CREATE OR REPLACE FUNCTION df.grant_usage(p_role text, include_http boolean DEFAULT false, with_grant boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    who constant text := df._role_identifier(p_role);
    option constant text := CASE WHEN with_grant THEN ' WITH GRANT OPTION' ELSE '' END;
BEGIN
    IF with_grant AND who = 'PUBLIC' THEN
        RAISE EXCEPTION 'grant options cannot be given to PUBLIC' USING ERRCODE = '0LP01',
            DETAIL = 'Everybody could pass on what everybody has.', HINT = 'Name a role.';
    END IF;
    EXECUTE 'GRANT USAGE ON SCHEMA df TO ' || who || option;
    PERFORM df._grant_submitting(who, option);
    EXECUTE 'GRANT SELECT ON df.checkpoints, df.marks, df.attempts_made, df.attempts, df.maps, df.map_items, df.nodes, df.claimed, df.journal_entries TO ' || who || option;
    EXECUTE 'GRANT SELECT, INSERT (instance_id, kind, reason) ON df.requests TO ' || who || option;
    EXECUTE 'GRANT SELECT, INSERT (instance_id, name, data, dedupe_key) ON df.signals TO ' || who || option;
    EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON df.vars TO ' || who || option;
    IF include_http THEN
        EXECUTE 'GRANT EXECUTE ON FUNCTION ' || df._overloads('http', 'http_multipart') || ' TO ' || who || option;
    END IF;
    IF with_grant THEN
        EXECUTE 'GRANT EXECUTE ON FUNCTION df.grant_usage, df.revoke_usage, df.metrics TO ' || who || option;
    END IF;
    RAISE NOTICE 'granted df usage privileges to "%"', p_role USING HINT = 'df.revoke_usage takes them away.';
END $$;

CREATE OR REPLACE FUNCTION df.revoke_usage(p_role text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    who constant text := df._role_identifier(p_role);
BEGIN
    EXECUTE 'REVOKE ALL ON df.instances, df.journal_entries, df.checkpoints, df.marks, df.attempts_made, df.attempts, df.maps, df.map_items, df.requests, df.signals, df.nodes, df.claimed, df.vars, df.debounces, df.definitions, df.schedule_changes, df.schedule_states, df.schedules, df.archived FROM '
            || who || ' CASCADE';
    EXECUTE 'REVOKE INSERT (' || df._submitted_columns() || ') ON df.instances FROM ' || who || ' CASCADE';
    EXECUTE 'REVOKE INSERT (instance_id, kind, reason) ON df.requests FROM ' || who || ' CASCADE';
    EXECUTE 'REVOKE INSERT (instance_id, name, data, dedupe_key) ON df.signals FROM ' || who || ' CASCADE';
    EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || df._overloads('http', 'http_multipart', 'grant_usage', 'revoke_usage', 'metrics') || ' FROM '
            || who || ' CASCADE';
    EXECUTE 'REVOKE USAGE ON SCHEMA df FROM ' || who || ' CASCADE';
END $$;
