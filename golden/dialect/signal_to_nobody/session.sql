SELECT df.await_instance(:'id');
SELECT df.signal(:'id', 'go');
SELECT df.signal('0a1b2c3d', 'go');
