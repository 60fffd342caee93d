-- until true
SELECT bool_or(node_type = 'WAIT_SCHEDULE' AND status = 'running') FROM df.instance_nodes(:'id');
SELECT df.signal(:'id', 'now');
SELECT df.await_instance(:'id');
SELECT node_type, inferred_status FROM df.instance_nodes(:'id');
