-- until true
SELECT count(*) = 5 FROM df.list_instances('completed', 10, 'monitor: page');
SELECT output, next_cursor IS NOT NULL AS more, created_at IS NOT NULL AS created, completed_at IS NOT NULL AS completed FROM df.list_instances(NULL, 2, 'monitor: page');
SELECT output, p.next_cursor IS NOT NULL AS more FROM df.list_instances(NULL, 2, 'monitor: page', (SELECT DISTINCT next_cursor FROM df.list_instances(NULL, 2, 'monitor: page'))) AS p;
SELECT output, next_cursor FROM df.list_instances('completed', 2, 'monitor: page', (SELECT DISTINCT next_cursor FROM df.list_instances(NULL, 4, 'monitor: page')));
SELECT convert_from(decode(next_cursor, 'hex'), 'UTF8') LIKE 'v1|%|' || instance_id AS cursor_of_the_last FROM df.list_instances(NULL, 3, 'monitor: page') OFFSET 2;
SELECT * FROM df.list_instances(NULL, 2, 'monitor: page', 'ffff');
SELECT * FROM df.list_instances(NULL, 0);
