SELECT df.signal(:'id', 'go', '1'), df.signal(:'id', 'go', '2'), df.signal(:'id', 'go', '3');
-- until true
SELECT unread_signals = 2 FROM df.instance_info(:'id');
SELECT df.signal(:'id', 'end');
SELECT df.await_instance(:'id');
SELECT unread_signals FROM df.instance_info(:'id');
