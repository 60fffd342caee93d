SELECT df.cancel(:'id');
SELECT df.await_instance(:'id');
