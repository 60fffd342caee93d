SELECT df.signal(:'id', 'no');
