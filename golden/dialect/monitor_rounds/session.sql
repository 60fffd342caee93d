SELECT df.await_instance(:'id');
SELECT execution_id, status, output FROM df.instance_executions(:'id');
SELECT execution_id, status FROM df.instance_executions(:'id', 2);
SELECT execution_count FROM df.list_instances('completed', 5, 'monitor: rounds');
SELECT current_execution_id FROM df.instance_info(:'id');
SELECT node_type, query LIKE '{"condition_node":%' AS has_condition, status, inferred_status FROM df.instance_nodes(:'id');
SELECT df.explain(:'id');
