SELECT df.signal(:'id', 'go', 'false');
