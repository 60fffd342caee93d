SELECT df.signal(:'id', 'go');
