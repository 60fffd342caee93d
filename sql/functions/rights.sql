-- Who may call what. Without USAGE on the schema (df.grant_usage) nobody calls anything; with it, all but what
-- is the worker's or the administrator's. Who was given the usage of an older schema, or of a view that has been made
-- anew since, may read what is the same as df.checkpoints to them, and who may submit may submit all there is. Locks: those of GRANT.
DO $do$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure::text AS signature,
               (p.proname IN ('grant_usage', 'revoke_usage', 'metrics', 'set_retention', 'http', 'http_multipart')
                OR (pg_catalog.starts_with(p.proname::text, '_') AND p.proname NOT IN (
                    '_is_identifier', '_node', '_wire', '_extended', '_operators_max', '_check_operators', '_name', '_group', '_part', '_word', '_duration', '_conditions',
                    '_settings_fault', '_own_setting', '_record_setting', '_policy', '_check_step_policy', '_are_headers', '_check_request', '_part_fault',
                    '_helper_said', '_helper_of', '_refuse_helper', '_check_vars', '_check_start', '_start_anew', '_dblink_way', '_dblink_to', '_dblink_value', '_check_expression', '_children', '_is_odd',
                    '_worker_alive', '_is_served', '_way_to_be_served', '_unserved', '_unreadable', '_wake', '_is_own', '_check_await', '_await_timed_out', '_lasted', '_rows', '_execute',
                    '_result_json', '_column_keys', '_json_value', '_json_array', '_json_composite', '_role_identifier', '_plan_nodes',
                    '_as_jsonb', '_quick_jsonb', '_nesting_levels_max', '_expression_bytes_max', '_result_rows_max', '_result_bytes_max',
                    '_doctor_facts', '_text_part', '_json_part', '_rows_part', '_json_text', '_json_inside', '_url_part',
                    '_data_part', '_no_secret',
                    '_submitted_columns', '_grant_submitting', '_overloads', '_distance', '_meant', '_definition', '_definition_names', '_params', '_param_problem', '_type', '_is_plain', '_value_problem', '_input', '_interval', '_check_options', '_check_kept', '_check_keys', '_same_key', '_join', '_refuse_key', '_announce', '_check_schedule', '_scheduled_input', '_change_schedule',
                    '_refuse_unknown', '_is_paused', '_state_to_change', '_has_ended', '_parts_before', '_part_to_fork',
                    '_signal_data', '_check_signal', '_check_dedupe_key', '_key_bytes_max', '_signal_names', '_is_too_long', '_check_label', '_nobody_waits',
                    '_refers', '_refuse_null', '_refuse_no_value', '_wait', '_timeout_part', '_check_moment', '_cron_numbers', '_cron_fault', '_check_cron', '_is_zone',
                    '_check_word', '_sleep_length', '_moment', '_instance_of',
                    '_within_lease', '_inside', '_node_of',
                    '_node_query', '_seconds_text', '_compact', '_output', '_execution_of', '_function_name', '_instance_ids', '_listed_instances_max', '_check_limit', '_cursor', '_cursor_id', '_unread_signals',
                    '_explain_expression', '_explain_text', '_explain_instance', '_draw', '_drawn_short', '_drawn_kind', '_drawn_mark', '_drawn_padded', '_drawn_duration', '_drawn_policy', '_drawn_node', '_drawn_arms', '_drawn_parts'))) AS closed
        FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'df'::regnamespace
    LOOP
        EXECUTE CASE WHEN f.closed THEN 'REVOKE EXECUTE ON ROUTINE ' || f.signature || ' FROM PUBLIC'
                     ELSE 'GRANT EXECUTE ON ROUTINE ' || f.signature || ' TO PUBLIC' END;
    END LOOP;
    FOR f IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
               || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS who
        FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) AS a
        WHERE c.oid = 'df.checkpoints'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
    LOOP
        EXECUTE 'GRANT SELECT ON df.marks, df.attempts_made, df.attempts, df.maps, df.map_items, df.nodes, df.claimed, df.journal_entries TO ' || f.who;
        EXECUTE 'GRANT SELECT, INSERT (instance_id, name, data, dedupe_key) ON df.signals TO ' || f.who;
    END LOOP;
    FOR f IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS who, a.is_grantable
        FROM pg_catalog.pg_attribute c, pg_catalog.pg_class t, pg_catalog.aclexplode(c.attacl) AS a
        WHERE t.oid = 'df.instances'::regclass AND c.attrelid = t.oid AND c.attname = 'expression'
          AND a.privilege_type = 'INSERT' AND a.grantee <> t.relowner
    LOOP
        PERFORM df._grant_submitting(f.who, CASE WHEN f.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $do$;
