SELECT df.signal(:'id', 'go');
SELECT df.await_instance(:'id');
SELECT node_id, node_type, query, left_node, right_node FROM df.instance_nodes(:'id') ORDER BY node_id;
