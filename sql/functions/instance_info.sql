-- One instance in one row; no row where there is none that the caller may see. function_version names the plan (NULL
-- until it is compiled), so equal workflows have equal versions. unread_signals: how many have come that nobody
-- has waited for yet. Of one that is archived, what is left of it. Locks: none.
CREATE OR REPLACE FUNCTION df.instance_info(instance_id text)
RETURNS TABLE (instance_id text, label text, function_name text, function_version text, current_execution_id bigint,
               status text, output text, unread_signals bigint)
LANGUAGE sql VOLATILE AS $$
    SELECT i.id, i.label, df._function_name(), i.plan_hash, df._execution_of(i.id, i.expression, i.plan),
           CASE WHEN i.completed_at IS NULL THEN df.status(i.id) ELSE i.status END, df._output(i.result, i.error),
           df._unread_signals(i.id)
    FROM df.instances i WHERE i.id = $1
    UNION ALL
    SELECT a.id, a.label, df._function_name(), a.plan_hash, NULL, a.status, df._output(a.result, a.error), 0
    FROM df.archived a WHERE a.id = $1
$$;
