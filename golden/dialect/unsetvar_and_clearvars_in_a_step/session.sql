SELECT df.await_instance(:'id');
SELECT result FROM df.instance_nodes(:'id') WHERE node_type = 'SQL';
