SELECT df.await_instance(:'id');
SELECT node_type, query, status, inferred_status FROM df.instance_nodes(:'id');
SELECT df.explain(:'id');
