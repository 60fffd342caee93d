"""What PostgreSQL's analysis refuses beyond names: at its token; and what looks like it, and is in order."""

from __future__ import annotations

import pytest

from dfc.compiler.plan_describe import Refused
from dfc.compiler.schema import Catalog
from tests.compiler_schema.support import Oracle, catalog, described

BROKEN = (
    # Aggregates, window functions, sets where none may stand
    "SELECT user_id FROM orders WHERE [[count]](*) > 3 GROUP BY user_id",
    "SELECT 1 FROM app.users u WHERE EXISTS (SELECT 1 FROM orders o WHERE [[sum]](o.total) > 3)",
    "SELECT x.id FROM (SELECT id FROM orders WHERE [[max]](total) > 3) x",
    "WITH q AS (SELECT id FROM orders WHERE [[max]](total) > 3) SELECT id FROM q",
    "SELECT 1 FROM orders o JOIN app.users u ON [[count]](*) = 1",
    "SELECT id FROM orders WHERE [[row_number]]() OVER (ORDER BY id) = 1",
    "SELECT id FROM orders WHERE [[generate_series]](1, id) = 1",
    "SELECT count(*) FROM orders GROUP BY [[sum]](total)",
    "SELECT user_id FROM orders GROUP BY user_id HAVING [[rank]]() OVER () = 1",
    "SELECT max([[count]](*)) FROM orders GROUP BY user_id",
    "SELECT sum([[rank]]() OVER ()) FROM orders",
    "UPDATE orders SET total = [[sum]](total)",
    "INSERT INTO orders (id) VALUES ([[count]](*))",
    "DELETE FROM orders RETURNING [[count]](*)",
    "SELECT [[row_number]]() FROM orders",
    "SELECT [[count]]() FROM orders",
    "SELECT [[count]]() OVER () FROM orders",
    "SELECT [[*]]",
    "SELECT 1 WHERE EXISTS (SELECT [[*]])",
    "SELECT ROW([[o]].*) FROM orders",
    "SELECT ([[ex]].*)::text FROM app.users",
    "SELECT ctid [[<<@>>]] 3 FROM orders",
    "SELECT [[upper]](note) FILTER (WHERE id > 3) FROM orders",
    "SELECT [[upper]](DISTINCT note) FROM orders",
    "SELECT [[upper]](note) OVER () FROM orders",
    "SELECT [[tidy]](3)",
    "CALL [[add]](1)",
    # GROUP BY, DISTINCT, ORDER BY
    "SELECT user_id, [[note]], count(*) FROM orders GROUP BY user_id",
    "SELECT date_trunc('day', placed_at), [[user_id]], sum(total) FROM orders GROUP BY date_trunc('day', placed_at)",
    "SELECT date_trunc('day', placed_at) AS day, [[user_id]], sum(total) FROM orders GROUP BY day",
    "SELECT date_trunc('day', placed_at), [[placed_at]] FROM orders GROUP BY 1",
    "SELECT note, count(*) FROM orders GROUP BY note HAVING [[total]] > 3",
    "SELECT note, count(*) FROM orders GROUP BY note ORDER BY [[total]]",
    "SELECT user_id, [[note]] FROM orders GROUP BY ROLLUP (user_id)",
    "SELECT [[price]], count(*) FROM items GROUP BY order_id",
    "SELECT id, [[email]] FROM active_users GROUP BY id",
    "SELECT o.note, [[u.]]name FROM orders o JOIN app.users u ON u.id = o.user_id GROUP BY o.id",
    "SELECT count(*) FROM orders GROUP BY [[2]]",
    "SELECT id FROM orders ORDER BY [[2]]",
    "SELECT id FROM orders ORDER BY [['id']]",
    "SELECT id FROM orders UNION SELECT id FROM jobs ORDER BY [[2]]",
    "SELECT DISTINCT note FROM orders ORDER BY [[total]]",
    "SELECT DISTINCT ON ([[user_id]]) id FROM orders ORDER BY placed_at",
    "SELECT array_agg(DISTINCT note ORDER BY [[total]]) FROM orders",
    "SELECT note, count(*) FROM orders GROUP BY note [[FOR]] UPDATE",
    "SELECT DISTINCT note FROM orders [[FOR]] SHARE",
    "SELECT id FROM orders LIMIT [[note]]",
    "SELECT [[*]], count(*) FROM orders GROUP BY note",
    "SELECT [[i]].*, o.id FROM orders o JOIN items i ON i.order_id = o.id GROUP BY o.id",
    "SELECT id FROM orders LIMIT [[id]]",
    "SELECT rank() OVER [[w]] FROM orders",
    "SELECT rank() OVER ([[v]] ORDER BY id) FROM orders WINDOW w AS (ORDER BY id)",
    # Rows, sub-queries, arrays
    "SELECT tags[ [['a']] ] FROM app.users",
    "SELECT id FROM orders WHERE [[total]] IS NOT TRUE",
    "SELECT id FROM orders WHERE user_id IN (1, [['two']])",
    "SELECT add(a => 1, [[c]] => 2)",
    "CALL tidy([[day]] => 2)",
    "SELECT [[pg_is_in_recvery]]()",
    "MERGE INTO jobs j USING orders [[j]] ON true WHEN MATCHED THEN DO NOTHING",
    "SELECT (total).[[x]] FROM orders",
    "SELECT id FROM orders WHERE (id, qty) [[=]] (1, 2, 3)",
    "SELECT id FROM orders WHERE id [[IN]] (SELECT id, user_id FROM orders)",
    "SELECT id FROM orders WHERE (id, qty) [[IN]] (SELECT id FROM orders)",
    "SELECT id FROM orders WHERE note [[=]] ANY (note)",
    "SELECT [[note]][1] FROM orders",
    "UPDATE app.users SET tags = tags [[||]] 1",
    "UPDATE orders SET (total, note) = [[(]]SELECT 1)",
    "SELECT 1 FROM orders o, items [[o]]",
    "SELECT 1 FROM orders JOIN items [[orders]] ON true",
    "SELECT 1 FROM (SELECT id FROM orders) [[x]](a, b)",
    "SELECT 1 FROM orders TABLESAMPLE [[sytem]] (5)",
    # Literals
    "SELECT 1 FROM app.users WHERE born > [['2026-13-01']]",
    "SELECT 1 FROM app.users WHERE born > [['2026-02-30']]",
    "SELECT timestamptz [['2026-01-01 25:00']]",
    "SELECT now() - interval [['30 dayz']]",
    "SELECT nextval([['tickt']])",
    "SELECT pg_total_relation_size([['ordrs']])",
    "SELECT [['app.nothing']]::regclass",
    # ON CONFLICT
    "INSERT INTO jobs (id) VALUES (1) [[ON]] CONFLICT DO UPDATE SET state = 'x'",
)  # fmt: skip
"""PostgreSQL refuses these when it parses them."""

BROKEN_WHEN_RUN = (
    "INSERT INTO jobs (id, state) VALUES (1, 'x') ON CONFLICT ([[state]]) DO NOTHING",
    "INSERT INTO items (order_id, line) VALUES (1, 1) ON CONFLICT ([[order_id]]) DO NOTHING",
    "INSERT INTO log (level) VALUES ('x') ON CONFLICT ([[level]]) DO UPDATE SET level = 'y'",
    "CREATE TABLE new (a int, b [[intt]])",
    "CREATE TABLE new (a int REFERENCES [[ordrs]])",
    "CREATE TABLE new (a int REFERENCES orders ([[idd]]))",
    "CREATE TABLE new PARTITION OF [[logg]] FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')",
    "ALTER TABLE [[nowhere]] ADD COLUMN x int",
    "ALTER TABLE orders ADD COLUMN x [[intt]]",
    "ALTER TABLE orders DROP COLUMN [[notes]]",
    "ALTER TABLE orders ALTER COLUMN [[notes]] SET NOT NULL",
    "ALTER TABLE orders RENAME COLUMN [[notes]] TO x",
    "ALTER TABLE log DETACH PARTITION [[log_2025]]",
    "ALTER SEQUENCE [[tickets]] RESTART",
    "ALTER INDEX [[orders_user]] RENAME TO x",
    "DROP TABLE app.[[user]]",
    "DROP VIEW [[ap]].users",
    "DROP INDEX [[orders_user]]",
    "COMMENT ON COLUMN orders.[[notes]] IS 'x'",
    "COMMENT ON TABLE [[ordrs]] IS 'x'",
    "GRANT SELECT ON [[ordrs]] TO PUBLIC",
    "GRANT SELECT ([[notes]]) ON orders TO PUBLIC",
    "REINDEX INDEX [[orders_user]]",
    "CLUSTER orders USING [[orders_user]]",
    "ANALYZE orders ([[notes]])",
    "CREATE INDEX ON orders USING [[bree]] (note)",
    "CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION [[notify_order]]()",
    "CREATE POLICY p ON [[ordrs]] USING (true)",
    "CREATE FUNCTION new(a [[intger]]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION new(a int) RETURNS SETOF [[intger]] LANGUAGE sql AS 'SELECT 1'",
)  # fmt: skip
"""PostgreSQL refuses these when it plans or runs them."""

IN_ORDER = (
    "SELECT sum(count(*)) OVER () FROM orders GROUP BY user_id",
    "SELECT u.name FROM app.users u GROUP BY u.id HAVING EXISTS (SELECT 1 FROM orders o WHERE count(u.id) > o.id)",
    "SELECT id FROM orders WHERE total > (SELECT avg(total) FROM orders)",
    "SELECT generate_series(1, id), unnest(ARRAY[1, 2]) FROM orders GROUP BY id, generate_series(1, id)",
    "SELECT count(*) FILTER (WHERE paid), string_agg(note, ',' ORDER BY total) FROM orders",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders",
    "SELECT rank(3) WITHIN GROUP (ORDER BY id) FROM orders",
    "SELECT mysum(total) OVER (ORDER BY id), lag(note) OVER w FROM orders WINDOW w AS (ORDER BY id)",
    "INSERT INTO jobs (id) VALUES (generate_series(1, 3))",
    "INSERT INTO jobs (id, state) SELECT count(*), 'x' FROM jobs",
    # The primary key decides on the rest of its table
    "SELECT id, note, total FROM orders GROUP BY id",
    "SELECT o.id, o.note, max(i.price) FROM orders o JOIN items i ON i.order_id = o.id GROUP BY o.id ORDER BY o.total",
    "SELECT price FROM items GROUP BY order_id, line",
    "SELECT u.email, count(*) FROM app.users u GROUP BY u.id HAVING u.active",
    # The same expression
    "SELECT date_trunc('day', placed_at), sum(total) FROM orders GROUP BY date_trunc('day', placed_at) ORDER BY 1",
    "SELECT date_trunc('day', o.placed_at) + due FROM orders o GROUP BY date_trunc('day', placed_at), due",
    "SELECT placed_at::date, extract(hour FROM placed_at) FROM orders GROUP BY CAST(placed_at AS date), extract(hour FROM placed_at)",
    "SELECT upper(note)::text FROM orders GROUP BY pg_catalog.upper(note)",
    "SELECT CASE WHEN total > 3 THEN note ELSE 'x' END AS c, count(*) FROM orders GROUP BY c ORDER BY c",
    "SELECT coalesce(note, 'x') AS note, count(*) FROM orders GROUP BY 1 ORDER BY note",
    "SELECT note AS n, count(*) AS c FROM orders GROUP BY n HAVING count(*) > 1 ORDER BY c DESC, n",
    "SELECT user_id, note, grouping(note) FROM orders GROUP BY GROUPING SETS ((user_id), (note), ())",
    "SELECT user_id, note FROM orders GROUP BY CUBE (user_id, note)",
    "SELECT (user_id, note) FROM orders GROUP BY (user_id, note)",
    "SELECT o.user_id, (SELECT name FROM app.users u WHERE u.id = o.user_id) FROM orders o GROUP BY o.user_id",
    "SELECT data->>'kind' AS kind, count(*) FROM jobs GROUP BY data->>'kind'",
    "SELECT payload->>'a', count(*) FROM orders GROUP BY orders.payload->>'a'",
    "SELECT note, count(*) FROM orders GROUP BY note ORDER BY count(*) DESC, max(total)",
    "SELECT 'x', now(), count(*) FROM orders",
    "SELECT id + 1 AS id FROM orders GROUP BY orders.id ORDER BY id",
    "SELECT *, count(*) OVER () FROM orders",
    "SELECT o.*, count(i.line) FROM orders o LEFT JOIN items i ON i.order_id = o.id GROUP BY o.id",
    "SELECT animals.*, count(*) FROM animals GROUP BY name, legs",
    "SELECT rank() OVER w, sum(id) OVER (w ROWS UNBOUNDED PRECEDING) FROM orders WINDOW w AS (ORDER BY id), v AS (w)",
    "SELECT add(b => 2, a => 1), make_interval(days => 3), (SELECT x.id FROM orders x LIMIT 1)",
    "SELECT paid IS TRUE, (id > 1) IS NOT UNKNOWN, NULL IS TRUE, 't' IS FALSE FROM orders",
    "SELECT id FROM orders WHERE id IN (1, '2') AND total IN ('1.5', 2) AND user_id IN (1, 2.5, '3.5')",
    "SELECT id FROM orders o LIMIT (SELECT count(*) FROM jobs j WHERE j.id > 3)",
    "MERGE INTO jobs j USING jobs k ON j.id = k.id WHEN MATCHED THEN DELETE",
    "SELECT pg_backend_pid(), pg_size_pretty(pg_database_size(current_database()))",
    # DISTINCT
    "SELECT DISTINCT note AS n FROM orders ORDER BY n",
    "SELECT DISTINCT note, total FROM orders o ORDER BY o.total, note NULLS LAST",
    "SELECT DISTINCT * FROM animals ORDER BY legs",
    "SELECT DISTINCT ON (user_id) id FROM orders ORDER BY user_id, placed_at DESC",
    "SELECT DISTINCT ON (user_id, note) id FROM orders ORDER BY note, user_id, id",
    "SELECT DISTINCT ON (user_id, note) id FROM orders ORDER BY note",
    "SELECT DISTINCT ON (u) user_id AS u, id FROM orders ORDER BY u, id",
    "SELECT DISTINCT ON (lower(note)) id FROM orders ORDER BY lower(note)",
    "SELECT array_agg(DISTINCT note ORDER BY note DESC) FROM orders",
    "SELECT id FROM (SELECT id FROM orders FOR UPDATE SKIP LOCKED) x GROUP BY id",
    "SELECT id FROM orders WHERE id IN (SELECT max(id) FROM orders GROUP BY note) FOR UPDATE",
    "SELECT id FROM orders LIMIT (SELECT count(*) FROM jobs) OFFSET '3'",
    "SELECT id FROM orders LIMIT 2.5",
    "SELECT id FROM orders LIMIT NULL",
    # Rows, sub-queries, arrays
    "SELECT id FROM orders WHERE (id, note) = (1, 'x') AND (id, note) IN (SELECT id, note FROM orders)",
    "SELECT id FROM orders WHERE ROW(id, note) IN ((1, 'x'), (2, 'y'))",
    "SELECT id FROM orders WHERE id = ANY ('{1,2}') AND note = ANY (string_to_array('a,b', ','))",
    "SELECT id FROM orders WHERE id = ANY (SELECT id FROM jobs) AND id = ALL (ARRAY[1])",
    "SELECT tags[1], settings['a'], (settings->'a')['b'], (string_to_array(name, ','))[2] FROM app.users",
    "UPDATE app.users SET tags = tags || '{x}', settings['a'] = '1' WHERE tags || ARRAY['y'] = tags",
    "SELECT tags || name, array_append(tags, name), ARRAY[1, 2] || 3.5, ARRAY[1] || ARRAY[2.5] FROM app.users",
    "UPDATE orders SET (total, note) = (SELECT 1, 'x'), (user_id, qty) = ROW (1, DEFAULT)",
    "UPDATE orders SET (total, note) = (1, 'x')",
    "SELECT 1 FROM orders o JOIN orders p ON o.id = p.id, (SELECT 1 AS id) q",
    "SELECT 1 FROM log, app.users, active_users, (SELECT 1) x(a), (VALUES (1, 2)) y(a, b), add(1) z(a)",
    "SELECT 1 FROM (orders o JOIN items i ON i.order_id = o.id) j, items i",
    "WITH orders AS (SELECT 1 AS id) SELECT id FROM orders",
    "SELECT id FROM orders TABLESAMPLE BERNOULLI (5) REPEATABLE (3)",
    # Literals
    "SELECT date '2024-02-29', timestamptz '2026-01-01 24:00:00', date '20260101', date 'January 8, 1999', date 'J2451187'",
    "SELECT timestamp '2026-01-01T10:00:00.5', date '0044-03-15 BC', date '1999.008', timestamptz '2026-01-01 10:00 Europe/Vienna'",
    "SELECT interval '1 year 2 mons 3 days 4 hours', interval 'P1Y2M3DT4H5M6S', interval '1-2', interval '@ 1 minute ago'",
    "SELECT interval '1.5 hours', interval '3 4:05:06', interval '2 weeks 1 decade 1 c 1 mil', interval '10 millisecond 5 us'",
    "SELECT interval '1 microseconds', interval '1 milliseconds', interval '1 msecs', interval '1' DAY, interval 'P0001-02-03T04:05:06'",
    "SELECT nextval('ticket'), nextval('orders_id_seq'), currval('app.users_id_seq'::regclass), 'orders'::regclass::oid",
    "SELECT pg_relation_size('orders_pkey'), '\"Mixed Case\"'::regclass, 'orders_user_id_idx'::regclass, '1259'::regclass",
    "SELECT to_regclass('nothing'), 'pg_class'::regclass, 'public.orders'::regclass",
)  # fmt: skip
"""PostgreSQL takes these."""

IN_ORDER_WHEN_RUN = (
    "INSERT INTO jobs (id, state) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET state = excluded.state",
    "INSERT INTO items (order_id, line) SELECT id, 1 FROM orders ON CONFLICT (line, order_id) DO NOTHING",
    "INSERT INTO app.users (email) VALUES ('a@b') ON CONFLICT (email) DO NOTHING",
    "INSERT INTO jobs (id, state) VALUES (1, 'x') ON CONFLICT DO NOTHING",
    "INSERT INTO jobs (id, state) VALUES (1, 'x') ON CONFLICT ON CONSTRAINT jobs_pkey DO NOTHING",
    "CREATE TABLE new (a serial PRIMARY KEY, b orders, c public.email, d int REFERENCES new, LIKE items)",
    "CREATE TABLE IF NOT EXISTS orders (a int)",
    "ALTER TABLE orders ADD COLUMN x int, ALTER COLUMN x SET DEFAULT 3, DROP COLUMN IF EXISTS y",
    "ALTER TABLE IF EXISTS nowhere ADD COLUMN x int",
    "ALTER INDEX orders_user_id_idx RENAME TO by_user",
    "DROP TABLE IF EXISTS nowhere, nothing",
    "DROP INDEX orders_user_id_idx",
    "COMMENT ON COLUMN active_users.full_name IS 'x'",
    "COMMENT ON FUNCTION add(int, int) IS 'x'",
    "GRANT SELECT (note), UPDATE (total) ON orders TO PUBLIC",
    "GRANT SELECT ON ALL TABLES IN SCHEMA app TO PUBLIC",
    "REINDEX INDEX orders_pkey",
    "CLUSTER orders USING orders_pkey",
    "ANALYZE orders (note), items",
    "CREATE INDEX ON orders USING brin (placed_at)",
    "CREATE FUNCTION new(a orders, b app.mood[], OUT c orders.total%TYPE) LANGUAGE sql AS 'SELECT 1'",
    "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
)  # fmt: skip
"""PostgreSQL runs these."""


def parts(marked: str) -> tuple[str, int]:
    """A statement without its mark, and where that was."""
    before, _, rest = marked.partition("[[")
    return before + rest.replace("]]", "", 1), len(before)


@pytest.mark.parametrize("marked", [*BROKEN, *BROKEN_WHEN_RUN])
def test_it_is_refused_at_its_token(marked: str, known: Catalog) -> None:
    sql, place = parts(marked)
    answer = described(known, sql)
    assert isinstance(answer, Refused), answer
    # Of `table.column` the part that is wrong.
    assert answer.start == place + (sql[place : place + 2] == "u.") * 2, answer


@pytest.mark.parametrize("sql", [*IN_ORDER, *IN_ORDER_WHEN_RUN])
def test_what_is_in_order_passes(sql: str, known: Catalog) -> None:
    answer = described(known, sql)
    assert not isinstance(answer, Refused), answer


def test_postgresql_agrees(oracle: Oracle) -> None:
    for marked in BROKEN:
        sql, _ = parts(marked)
        assert oracle.says(sql).sqlstate != "", sql
    for marked in BROKEN_WHEN_RUN:
        sql, _ = parts(marked)
        assert oracle.runs(sql) != "", sql
    for sql in IN_ORDER:
        verdict = oracle.says(sql)
        assert verdict.sqlstate == "", (sql, verdict)
    for sql in IN_ORDER_WHEN_RUN:
        assert oracle.runs(sql) == "", sql


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE t (a int, b int); CREATE UNIQUE INDEX ON t (a)",
        "CREATE TABLE t (a int, b int); ALTER TABLE ONLY t ADD CONSTRAINT t_key UNIQUE (a)",
        "CREATE TABLE t (a int, b int); CREATE UNIQUE INDEX ON t (a) WHERE b = 1",
        "CREATE TABLE t (a int, b int, EXCLUDE USING btree (a WITH =))",
        "CREATE TABLE s (a int PRIMARY KEY); CREATE TABLE t (LIKE s INCLUDING ALL, b int)",
        "CREATE TABLE t (c int UNIQUE, b int); ALTER TABLE t RENAME COLUMN c TO a",
        "CREATE TABLE s (a int PRIMARY KEY, b int) PARTITION BY RANGE (a); CREATE TABLE t PARTITION OF s DEFAULT",
        "CREATE TABLE t (a int, b int); CREATE UNIQUE INDEX i ON t (a); ALTER TABLE t ADD PRIMARY KEY USING INDEX i",
        "CREATE TABLE t (a int, b int); DO $$ BEGIN END $$",
    ],
)
def test_every_way_to_write_a_key_is_known(ddl: str) -> None:
    from dfc.compiler.schema import SchemaSource, read_schema

    known = read_schema([SchemaSource(name="s.sql", text=ddl)]).catalog
    answer = described(known, "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO NOTHING")
    assert not isinstance(answer, Refused), answer


def test_a_key_that_is_gone_is_none() -> None:
    known = catalog(
        "CREATE TABLE t (a int PRIMARY KEY, b int, c int); ALTER TABLE t DROP COLUMN a, ADD COLUMN a int"
    )
    assert isinstance(described(known, "SELECT a, b FROM t GROUP BY a"), Refused)
