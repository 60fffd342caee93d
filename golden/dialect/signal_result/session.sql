-- until true
SELECT bool_or(node_type = 'SIGNAL' AND status = 'running') FROM df.instance_nodes(:'id');
SELECT df.status(:'id'), df.result(:'id');
SELECT df.signal(:'id', 'go', '{"by": "Ann"}');
SELECT df.await_instance(:'id');
SELECT df.result(:'id');
