SELECT df.await_instance(:'id');
SELECT df.await_instance(id) FROM df.instances WHERE label = 'the one that waits';
SELECT df.result(id) FROM df.instances WHERE label = 'the one that waits';
