-- The nodes of an instance, one row each, with pg_durable's columns and words. status is what was last known of the node
-- (a node that was under way when its instance ended is `running`), inferred_status says what has become of it:
-- `skipped` where it has not come to its end and never will, and then inferred_status_from_ancestor_id
-- names the node around it. result of a failed node is its message as a JSON string. Locks: none.
CREATE OR REPLACE FUNCTION df.instance_nodes(instance_id_param text)
RETURNS TABLE (node_id text, node_type text, query text, result_name text, left_node text, right_node text, status text,
               result text, status_details text, inferred_status text, inferred_status_from_ancestor_id text,
               updated_at timestamptz)
LANGUAGE sql VOLATILE AS $$
    SELECT n.id, n.node_type, n.query, n.result_name, n.left_node, n.right_node,
           CASE n.status WHEN 'skipped' THEN 'pending' WHEN 'cancelled' THEN 'running' ELSE n.status END,
           coalesce(n.result::text, pg_catalog.to_json(n.error)::text), n.status_details::text,
           CASE n.status WHEN 'cancelled' THEN 'skipped' ELSE n.status END,
           CASE WHEN n.status IN ('skipped', 'cancelled') THEN n.parent END, n.updated_at
    FROM df.nodes n WHERE n.instance_id = $1
    ORDER BY n.number
$$;

-- The columns of older versions of pg_durable; the number of executions is taken for their sake alone.
CREATE OR REPLACE FUNCTION df.instance_nodes(instance_id_param text, _last_n_executions integer)
RETURNS TABLE (execution_id bigint, node_id text, node_type text, query text, result_name text, left_node text,
               right_node text, status text, result text, updated_at timestamptz)
LANGUAGE sql VOLATILE AS $$
    SELECT 1::bigint, n.node_id, n.node_type, n.query, n.result_name, n.left_node, n.right_node, n.status, n.result, n.updated_at
    FROM df.instance_nodes($1) AS n
    WHERE $2 IS NOT NULL
$$;
