SELECT df.await_instance(:'id');
SELECT df.status(:'id'), df.result(:'id');
SELECT status, output FROM df.list_instances('failed', 10, 'monitor: failed');
SELECT status, output FROM df.instance_executions(:'id');
SELECT node_type, query, status, result, inferred_status FROM df.instance_nodes(:'id');
SELECT df.explain(:'id');
