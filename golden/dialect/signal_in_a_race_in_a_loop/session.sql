SELECT df.signal(:'id', 'job', 'one');
-- until true
SELECT count(*) = 1 FROM heard;
SELECT df.signal(:'id', 'job', 'two');
-- until true
SELECT count(*) = 2 FROM heard;
SELECT df.signal(:'id', 'quit');
