-- until true
SELECT count(*) = 2 FROM df.instance_nodes(:'id') WHERE node_type = 'SIGNAL' AND status = 'running';
SELECT df.signal(:'id', 'go', 'only');
