BEGIN;
SELECT df.start('SELECT 2 AS n', 'taken back') IS NOT NULL AS started;
SELECT df.status(id) FROM df.instances WHERE label = 'taken back';
ROLLBACK;
SELECT count(*) FROM df.instances WHERE label = 'taken back';
