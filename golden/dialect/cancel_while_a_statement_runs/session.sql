-- until true
SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'never_filled'::regclass AND mode = 'RowExclusiveLock');
SELECT df.cancel(instance_id => :'id', reason => 'wrong table');
SELECT df.await_instance(:'id', 20);
SELECT count(*) FROM never_filled;
SELECT output FROM df.instance_info(:'id');
