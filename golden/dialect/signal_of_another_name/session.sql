-- until true
SELECT bool_or(node_type = 'SIGNAL' AND status = 'running') FROM df.instance_nodes(:'id');
SELECT df.signal(:'id', 'Go', '1');
SELECT df.signal(:'id', 'go', '2');
