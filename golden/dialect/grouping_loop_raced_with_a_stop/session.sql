-- until true
SELECT count(*) >= 2 FROM beats;
SELECT df.signal(:'id', 'stop');
