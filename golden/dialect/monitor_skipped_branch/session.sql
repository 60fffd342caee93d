SELECT df.await_instance(:'id');
SELECT node_type, query, status, inferred_status FROM df.instance_nodes(:'id') WHERE node_type = 'SQL';
SELECT df.explain(:'id');
