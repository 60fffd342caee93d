SELECT df.signal(:'id', 'count', '41');
