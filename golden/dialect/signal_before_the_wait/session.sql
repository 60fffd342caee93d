SELECT df.signal(:'id', 'go', '{"n": 7}');
