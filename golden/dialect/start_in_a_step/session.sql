SELECT df.await_instance(:'id');
SELECT df.await_instance(id), df.result(id) FROM df.instances WHERE label = 'started in a step';
