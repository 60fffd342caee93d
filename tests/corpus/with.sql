WITH regional_sales AS (SELECT product_no, sum(quantity) AS total FROM orders GROUP BY product_no), top AS (SELECT product_no FROM regional_sales WHERE total > 1) SELECT * FROM orders WHERE product_no IN (SELECT product_no FROM top)

WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n) FROM t

WITH RECURSIVE search_tree(id, link, data) AS (
    SELECT t.id, t.link, t.data FROM tree t
  UNION ALL
    SELECT t.id, t.link, t.data FROM tree t, search_tree st WHERE t.id = st.link
) SEARCH DEPTH FIRST BY id SET ordercol
SELECT * FROM search_tree ORDER BY ordercol

WITH RECURSIVE search_tree(id, link, data) AS (
    SELECT t.id, t.link, t.data FROM tree t
  UNION ALL
    SELECT t.id, t.link, t.data FROM tree t, search_tree st WHERE t.id = st.link
) SEARCH BREADTH FIRST BY id, link SET ordercol
SELECT * FROM search_tree ORDER BY ordercol

WITH RECURSIVE search_graph(id, link) AS (
    SELECT g.id, g.link FROM graph g
  UNION ALL
    SELECT g.id, g.link FROM graph g, search_graph sg WHERE g.id = sg.link
) CYCLE id SET is_cycle USING path
SELECT * FROM search_graph

WITH RECURSIVE search_graph(id, link) AS (
    SELECT g.id, g.link FROM graph g
  UNION ALL
    SELECT g.id, g.link FROM graph g, search_graph sg WHERE g.id = sg.link
) SEARCH DEPTH FIRST BY id SET o CYCLE id SET is_cycle TO 'Y' DEFAULT 'N' USING path
SELECT * FROM search_graph

WITH RECURSIVE r(n, path) AS (
    SELECT 1, ARRAY[1] UNION SELECT n + 1, path || (n + 1) FROM r WHERE n < 5
) SELECT * FROM r WHERE NOT (n = ANY (path[1:1]))

WITH w AS MATERIALIZED (SELECT * FROM employees) SELECT * FROM w AS w1 JOIN w AS w2 ON w1.id = w2.boss

WITH w AS NOT MATERIALIZED (SELECT * FROM employees) SELECT * FROM w WHERE id = 1

WITH moved_rows AS (DELETE FROM employees WHERE id = 2 RETURNING *) INSERT INTO employees_history SELECT * FROM moved_rows

WITH t AS (UPDATE products SET price = price * 1.05 RETURNING *) SELECT * FROM t

WITH t AS (DELETE FROM actors) DELETE FROM graph

WITH upd AS (UPDATE employees SET salary = salary + 1 WHERE id = (SELECT sales_id FROM accounts WHERE id = 1) RETURNING *) INSERT INTO employees_history SELECT * FROM upd

WITH x AS (INSERT INTO actors VALUES (1, 'a') RETURNING id), y AS (INSERT INTO graph SELECT id FROM x RETURNING id) SELECT x.id, y.id FROM x, y

WITH m AS (MERGE INTO distributors d USING (VALUES (1)) v(did) ON v.did = d.did WHEN MATCHED THEN UPDATE SET dname = 'x' RETURNING merge_action(), d.*) SELECT * FROM m

WITH a AS (WITH b AS (SELECT 1 AS x) SELECT * FROM b) TABLE a

WITH a(x, y) AS (VALUES (1, 2)) VALUES ((SELECT x FROM a))

SELECT * FROM (WITH a AS (SELECT 1 AS n) SELECT n FROM a) s

SELECT (WITH a AS (SELECT 1 AS n) SELECT n FROM a)

INSERT INTO actors WITH a AS (SELECT 1, 'x') SELECT * FROM a

CREATE TABLE n1 AS WITH a AS (SELECT 1 AS n) SELECT * FROM a

WITH "Quoted Name" AS (SELECT 1 AS "N") SELECT "N" FROM "Quoted Name"

WITH employees AS (SELECT * FROM employees WHERE salary > 1) SELECT name FROM employees

WITH RECURSIVE included_parts(sub_part, part, quantity) AS (
    SELECT id, link, 1 FROM tree WHERE link = 1
  UNION ALL
    SELECT p.id, p.link, pr.quantity * 2 FROM included_parts pr, tree p WHERE p.link = pr.sub_part
)
SELECT sub_part, SUM(quantity) AS total_quantity FROM included_parts GROUP BY sub_part
