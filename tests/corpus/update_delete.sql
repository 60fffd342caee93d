UPDATE films SET kind = 'Dramatic' WHERE kind = 'Drama'

UPDATE weather SET temp_lo = temp_lo + 1, temp_hi = temp_lo + 15, prcp = DEFAULT WHERE city = 'San Francisco' AND date = '2003-07-03'

UPDATE weather SET (temp_lo, temp_hi, prcp) = (temp_lo + 1, temp_lo + 15, DEFAULT) WHERE city = 'San Francisco'

UPDATE weather SET (temp_lo, temp_hi) = ROW (1, 2)

UPDATE weather SET temp_lo = temp_lo + 1 WHERE city = 'San Francisco' RETURNING temp_lo, temp_hi, prcp

UPDATE employees SET salary = salary + 1 FROM accounts WHERE accounts.branch_name = 'Acme' AND employees.id = accounts.sales_id

UPDATE employees SET salary = salary + 1 WHERE id = (SELECT sales_id FROM accounts WHERE branch_name = 'Acme')

UPDATE accounts SET (branch_name, balance) = (SELECT depname, salary FROM employees WHERE employees.id = accounts.sales_id) WHERE EXISTS (SELECT FROM employees WHERE employees.id = accounts.sales_id)

UPDATE ONLY cities AS c SET location = NULL

UPDATE cities * SET location = NULL

UPDATE products p SET price = price * 1.10 WHERE price <= 99.99 RETURNING p.name, old.price AS old_price, new.price AS new_price, new.price - old.price AS price_change

UPDATE sal_emp SET pay_by_quarter[4] = 15000 WHERE name = 'Bill'

UPDATE sal_emp SET pay_by_quarter[1:2] = '{27000,27000}', schedule[1][2] = 'x'

UPDATE on_hand SET item.price = (item).price + 1 WHERE (item).name = 'x'

UPDATE orders SET details['gift'] = 'false', details['to']['city'] = '"Wien"'

UPDATE employees SET name = 'x' WHERE ctid = (SELECT ctid FROM employees LIMIT 1)

WITH exceeded_max_retries AS (SELECT w.ctid FROM app.events AS w WHERE w.done LIMIT 5000 FOR UPDATE) UPDATE app.events SET done = true FROM exceeded_max_retries AS emr WHERE app.events.ctid = emr.ctid

--! 34000
UPDATE films SET kind = 'Dramatic' WHERE CURRENT OF c_films

DELETE FROM films

DELETE FROM films WHERE kind <> 'Musical'

DELETE FROM films USING distributors WHERE films.did = distributors.did AND distributors.dname = 'foo'

DELETE FROM films AS f WHERE f.did IN (SELECT did FROM distributors WHERE dname = 'foo')

DELETE FROM ONLY cities WHERE name = 'x' RETURNING *

DELETE FROM orders WHERE shipped RETURNING order_id, old.quantity

WITH delete_batch AS (SELECT l.ctid FROM app.events AS l WHERE l.done ORDER BY l.id LIMIT 10000 FOR UPDATE) DELETE FROM app.events AS dl USING delete_batch AS del WHERE dl.ctid = del.ctid

DELETE FROM weather w USING cities c LEFT JOIN capitals k ON k.name = c.name WHERE w.city = c.name

MERGE INTO customer_account ca USING recent_transactions t ON t.customer_id = ca.customer_id WHEN MATCHED THEN UPDATE SET balance = balance + transaction_value WHEN NOT MATCHED THEN INSERT (customer_id, balance) VALUES (t.customer_id, t.transaction_value)

MERGE INTO customer_account ca USING (SELECT customer_id, transaction_value FROM recent_transactions) AS t ON t.customer_id = ca.customer_id WHEN MATCHED AND t.transaction_value < 0 THEN DELETE WHEN MATCHED THEN DO NOTHING

MERGE INTO distributors AS w USING (VALUES (1, 'x')) AS v (did, dname) ON v.did = w.did WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED BY TARGET THEN INSERT VALUES (v.did, v.dname) WHEN MATCHED AND w.dname <> v.dname THEN UPDATE SET (dname, modified) = (v.dname, DEFAULT) RETURNING merge_action(), w.*

MERGE INTO ONLY cities c USING capitals k ON c.name = k.name WHEN NOT MATCHED THEN INSERT DEFAULT VALUES

MERGE INTO orders o USING products p ON o.product_no = p.product_no WHEN NOT MATCHED THEN INSERT (order_id, product_no) OVERRIDING SYSTEM VALUE VALUES (5, p.product_no)

TRUNCATE films

TRUNCATE TABLE ONLY films, distributors

TRUNCATE orders, app.events RESTART IDENTITY CASCADE

TRUNCATE films CONTINUE IDENTITY RESTRICT
