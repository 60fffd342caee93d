SELECT df.await_instance(:'id');
SELECT output FROM df.instance_info(:'id');
