SELECT df.signal(:'id', 'item', '{"text": "one"}');
SELECT df.signal(:'id', 'item', '{"text": "two"}');
-- until true
SELECT count(*) = 2 FROM inbox;
SELECT df.signal(:'id', 'item', '{"text": "three"}');
SELECT df.signal(:'id', 'item', '{"stop": true}');
