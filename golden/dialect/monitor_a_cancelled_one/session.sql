-- until true
SELECT bool_or(node_type = 'SIGNAL' AND status = 'running') FROM df.instance_nodes(:'id');
SELECT df.explain(:'id');
SELECT df.cancel(:'id', 'no longer needed');
SELECT df.status(:'id');
SELECT df.await_instance(:'id');
SELECT df.status(:'id'), df.result(:'id');
SELECT node_type, status, inferred_status, inferred_status_from_ancestor_id IS NOT NULL AS from_ancestor FROM df.instance_nodes(:'id');
SELECT status, completed_at, output FROM df.list_instances('cancelled', 5, 'monitor: cancelled');
SELECT df.cancel(:'id');
SELECT df.cancel('0a1b2c3d');
SELECT df.explain(:'id');
