INSERT INTO films VALUES ('UA503', 'Bananas', 105, '1971-07-13', 'Comedy', '82 minutes')

INSERT INTO films (code, title, did, date_prod, kind) VALUES ('T_601', 'Yojimbo', 106, DEFAULT, 'Drama')

INSERT INTO films (code, title, did, date_prod, kind) VALUES ('B6717', 'Tampopo', 110, '1985-02-10', 'Comedy'), ('HG120', 'The Dinner Game', 140, DEFAULT, 'Comedy')

INSERT INTO orders DEFAULT VALUES

INSERT INTO films SELECT 'X' || left(code, 4), title, did, date_prod, kind, len FROM films WHERE date_prod < '2004-05-07'

INSERT INTO distributors (did, dname) VALUES (10, 'XYZ Widgets') RETURNING did

INSERT INTO distributors AS d (did, dname) VALUES (5, 'Gizmo'), (6, 'Associated') ON CONFLICT (did) DO UPDATE SET dname = EXCLUDED.dname || ' (formerly ' || d.dname || ')' WHERE d.dname <> 'x'

INSERT INTO distributors (did, dname) VALUES (7, 'Redline GmbH') ON CONFLICT (did) DO NOTHING

INSERT INTO distributors (did, dname) VALUES (9, 'Antwerp Design') ON CONFLICT ON CONSTRAINT distributors_pkey DO NOTHING

INSERT INTO distributors VALUES (1, 'x') ON CONFLICT DO NOTHING RETURNING *

INSERT INTO distributors VALUES (1, 'x') ON CONFLICT (did) WHERE did > 0 DO UPDATE SET (dname, modified) = (EXCLUDED.dname, current_date)

INSERT INTO distributors VALUES (1, 'x') ON CONFLICT (did) DO UPDATE SET modified = DEFAULT

INSERT INTO orders (order_id, product_no) OVERRIDING SYSTEM VALUE VALUES (100, 1)

INSERT INTO orders OVERRIDING USER VALUE SELECT 100, 1

INSERT INTO distributors VALUES (1, 'y', NULL) ON CONFLICT (did) DO UPDATE SET dname = EXCLUDED.dname RETURNING old.dname AS old_name, new.dname AS new_name

INSERT INTO distributors VALUES (20, 'y', NULL) RETURNING WITH (OLD AS o, NEW AS n) o.did, n.did, *

INSERT INTO sal_emp VALUES ('Bill', '{10000, 10000, 10000, 10000}', '{{"meeting", "lunch"}, {"training", "presentation"}}')

INSERT INTO sal_emp VALUES ('Carol', ARRAY[20000, 25000], ARRAY[['breakfast', 'consulting'], ['meeting', 'lunch']])

INSERT INTO sal_emp (name, pay_by_quarter[1:2], schedule[1][1]) VALUES ('x', '{1,2}', 'y')

INSERT INTO on_hand VALUES (ROW('fuzzy dice', 42, 1.99), 1000)

INSERT INTO on_hand (item.name, item.price) VALUES ('dice', 2)

INSERT INTO app.events (payload) SELECT jsonb_build_object('n', n) FROM generate_series(1, 5) AS g(n)

INSERT INTO actors TABLE actors

INSERT INTO actors (SELECT 1, 'a' UNION ALL SELECT 2, 'b') ORDER BY 1

INSERT INTO "Odd Name" ("Select", "from") VALUES (1, 'x')

INSERT INTO measurement VALUES (1, '2025-02-03', 4, 5)
