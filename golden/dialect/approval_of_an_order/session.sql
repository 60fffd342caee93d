-- until true
SELECT status = 'completed' AND result LIKE '%true%' FROM df.instance_nodes(:'id') WHERE query = 'SELECT $check.ok';
SELECT state FROM orders;
SELECT df.signal(:'id', 'approval', '{"by": "Eve"}');
SELECT df.await_instance(:'id');
SELECT label, status FROM df.list_instances('completed', 10, 'order 7');
