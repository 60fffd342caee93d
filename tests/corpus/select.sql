SELECT * FROM weather

SELECT city, (temp_hi + temp_lo) / 2 AS temp_avg, date FROM weather

SELECT * FROM weather WHERE city = 'San Francisco' AND prcp > 0.0

SELECT DISTINCT city FROM weather ORDER BY city

SELECT ALL city FROM weather

SELECT DISTINCT ON (city) city, date, temp_lo FROM weather ORDER BY city, date DESC

SELECT ALL 1

SELECT

SELECT FROM weather

TABLE weather

TABLE ONLY cities

(TABLE weather)

((SELECT 1))

VALUES (1, 'one'), (2, 'two'), (3, 'three')

VALUES (1), (2) ORDER BY 1 DESC LIMIT 1 OFFSET 0

(VALUES (1)) UNION ALL (VALUES (2))

SELECT * FROM weather, cities WHERE city = name

SELECT * FROM weather JOIN cities ON city = name

SELECT * FROM weather INNER JOIN cities ON (city = name)

SELECT * FROM weather LEFT OUTER JOIN cities ON weather.city = cities.name

SELECT * FROM weather RIGHT JOIN cities ON weather.city = cities.name

SELECT * FROM weather w FULL OUTER JOIN cities c ON w.city = c.name WHERE c.name IS NULL

SELECT * FROM weather CROSS JOIN cities

SELECT * FROM orders NATURAL JOIN products

SELECT * FROM orders NATURAL LEFT JOIN products

SELECT * FROM orders JOIN products USING (product_no)

SELECT x.product_no FROM orders JOIN products USING (product_no) AS x

SELECT * FROM (orders JOIN products USING (product_no)) AS j

SELECT * FROM (weather w JOIN cities c ON w.city = c.name) CROSS JOIN actors

SELECT w1.city, w1.temp_lo AS low, w2.city, w2.temp_lo AS low FROM weather w1 JOIN weather w2 ON w1.temp_lo < w2.temp_lo AND w1.temp_hi > w2.temp_hi

SELECT * FROM ONLY cities

SELECT * FROM ONLY (cities)

SELECT * FROM cities*

SELECT c.tableoid::regclass, c.name FROM cities c

SELECT city, count(*), max(temp_lo) FILTER (WHERE temp_lo < 45) FROM weather GROUP BY city HAVING max(temp_lo) < 40

SELECT city, max(temp_lo) FROM weather WHERE city LIKE 'S%' GROUP BY city

SELECT count(*) FROM weather GROUP BY ()

SELECT city, date, sum(prcp) FROM weather GROUP BY GROUPING SETS ((city), (date), ())

SELECT city, date, sum(prcp), grouping(city, date) FROM weather GROUP BY ROLLUP (city, date)

SELECT city, sum(prcp) FROM weather GROUP BY CUBE (city, (date, temp_lo))

SELECT city, date FROM weather GROUP BY DISTINCT ROLLUP (city, date), ROLLUP (city)

SELECT city, date FROM weather GROUP BY ALL city, CUBE (date)

SELECT city FROM weather WHERE temp_lo = (SELECT max(temp_lo) FROM weather)

SELECT * FROM weather WHERE city IN (SELECT name FROM cities)

SELECT * FROM weather WHERE city NOT IN ('a', 'b')

SELECT * FROM weather w WHERE EXISTS (SELECT 1 FROM cities c WHERE c.name = w.city)

SELECT * FROM weather WHERE temp_lo > ALL (SELECT temp_lo FROM weather WHERE city = 'x')

SELECT * FROM weather WHERE temp_lo = ANY (ARRAY[1, 2, 46])

SELECT * FROM weather WHERE temp_lo < SOME (SELECT temp_hi FROM weather)

SELECT * FROM weather WHERE (city, temp_lo) = (SELECT 'Hayward', 37)

SELECT * FROM weather WHERE ROW(city, temp_lo) IN (SELECT city, temp_hi FROM weather)

SELECT ROW(1, 2.5, 'this is a test') = (1, 3, 'not the same')

SELECT ROW(table_row.*) IS NOT NULL FROM weather AS table_row

SELECT * FROM weather ORDER BY temp_lo DESC NULLS LAST, city ASC NULLS FIRST

SELECT * FROM weather ORDER BY temp_lo USING >

SELECT * FROM weather ORDER BY 1, lower(city)

SELECT * FROM weather LIMIT ALL OFFSET 1

SELECT * FROM weather ORDER BY city OFFSET 0 ROWS FETCH FIRST 5 ROWS ONLY

SELECT * FROM weather ORDER BY city FETCH NEXT ROW ONLY

SELECT * FROM weather ORDER BY city FETCH FIRST 2 ROWS WITH TIES

SELECT city FROM weather UNION SELECT name FROM cities

SELECT city FROM weather UNION ALL SELECT name FROM cities ORDER BY 1 LIMIT 3

SELECT city FROM weather INTERSECT SELECT name FROM cities

(SELECT city FROM weather ORDER BY city LIMIT 1) EXCEPT ALL SELECT name FROM cities

SELECT 1 UNION (SELECT 2 INTERSECT SELECT 2)

SELECT * FROM employees WHERE id = 1 FOR UPDATE

SELECT * FROM app.events WHERE NOT done ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED

SELECT * FROM employees e JOIN accounts a ON a.id = e.id FOR NO KEY UPDATE OF e NOWAIT FOR SHARE OF a

SELECT id FROM employees FOR KEY SHARE

SELECT * FROM generate_series(2, 4)

SELECT * FROM generate_series('2008-03-01 00:00'::timestamp, '2008-03-04 12:00', '10 hours')

SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS t(n, o)

SELECT * FROM unnest(ARRAY[1, 2], ARRAY['foo', 'bar', 'baz']) AS x(a, b)

SELECT * FROM ROWS FROM (generate_series(1, 3), json_to_recordset('[{"a":40,"b":"foo"}]') AS (a integer, b text)) AS x (p, q, s) ORDER BY p

SELECT * FROM anything() AS t(a int, b text)

SELECT * FROM anything() AS (a int, b text)

SELECT p.*, q.a FROM pairs() p, LATERAL (SELECT p.a) q

SELECT m.name FROM cities m LEFT JOIN LATERAL (SELECT * FROM weather w WHERE w.city = m.name LIMIT 1) pname ON true

SELECT * FROM employees e CROSS JOIN LATERAL getfoo(e.id) f

SELECT * FROM weather TABLESAMPLE SYSTEM (10)

SELECT * FROM weather TABLESAMPLE BERNOULLI (5.5) REPEATABLE (200)

SELECT (pairs()).*

SELECT (p).a, (p).b FROM (SELECT pairs() AS p) s

SELECT "Select", "from", "with ""quotes""" FROM "Odd Name" AS "from"

SELECT U&"d\0061t\+000061" FROM (SELECT 1 AS data) x

SELECT U&"d!0061ta" UESCAPE '!' FROM (SELECT 1 AS data) x

SELECT a.value AS value, a.name AS "user", a.year years FROM (VALUES (1, 'x', 2000)) AS a (value, name, year)

SELECT 1 AS select, 2 AS from, 3 AS "order", 4 AS table

SELECT current_date, current_time, current_time(2), current_timestamp, localtime, localtimestamp(0), current_user, session_user, user, current_role, current_catalog, current_schema, system_user

SELECT pg_catalog.now(), pg_catalog.upper('x')

SELECT app.events.id FROM app.events

SELECT e FROM employees e

SELECT (e.*)::text FROM (SELECT 1 AS a) e

SELECT weather FROM weather

SELECT name(employees) FROM employees

SELECT film.title FROM films film WHERE film.kind = 'Comedy' -- a comment at the end

/* first */ SELECT /* nested /* comment */ here */ 1 /* last */

SELECT 1;

-- a comment of its own line
SELECT 1
-- and another
