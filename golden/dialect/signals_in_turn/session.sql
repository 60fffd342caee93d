SELECT df.signal(:'id', 'second');
SELECT df.signal(:'id', 'first');
