SELECT df.signal(:'id', 'approval', '{"by": "Bob"}');
