-- until true
SELECT bool_or(node_type = 'SIGNAL' AND status = 'running') FROM df.instance_nodes(:'id');
SELECT df.status(:'id'), df.result(:'id');
SELECT status, execution_count, output FROM df.list_instances('running', 5, 'monitor: waiting');
SELECT execution_id, status, output FROM df.instance_executions(:'id');
SELECT node_type, query, result_name, status, inferred_status FROM df.instance_nodes(:'id');
SELECT df.explain(:'id');
SELECT df.await_instance(:'id', 1);
SELECT df.signal(:'id', 'go');
SELECT df.await_instance(:'id');
SELECT df.explain(:'id');
