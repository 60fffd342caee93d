SELECT df.signal(:'id', 'go', '{"a": ["x"]}');
