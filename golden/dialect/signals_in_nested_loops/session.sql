SELECT df.signal(:'id', 's', 'a');
SELECT df.signal(:'id', 's', 'next');
SELECT df.signal(:'id', 's', 'b');
SELECT df.signal(:'id', 's', 'next');
