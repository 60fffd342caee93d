SELECT df.signal(:'id', 'b', '2');
SELECT df.signal(:'id', 'a', '1');
