BEGIN;
SELECT df.signal(:'id', 'go', 'not meant');
ROLLBACK;
SELECT df.signal(:'id', 'go', 'meant');
