"""What PostgreSQL says of steps before they run: on a real server, with tables, views and functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from dfc.cli.deeper import Depth, deepened
from dfc.compiler.plan_describe import Column, Count, Rows
from dfc.compiler.plan_types import flow
from dfc.executor.describe import database
from dfc.executor.describe.database import DatabaseDescriber
from tests.describe.support import HERE, asked, compilation, errors, load, plan_of
from tests.postgres import Server

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def schema(shared_database: str) -> str:
    load(shared_database, HERE / "schema.sql")
    return shared_database


REFUSED = [
    ("SELECT * FROM usres", "DF401", "usres", "did you mean `users`?"),
    ("SELECT * FROM app.ordrs", "DF401", "ordrs", "did you mean `orders`?"),
    ("SELECT * FROM ap.orders", "DF401", "ap", "did you mean `app`?"),
    ("INSERT INTO usesr (id) VALUES (1)", "DF401", "usesr", "did you mean `users`?"),
    ("SELECT x.id FROM users u", "DF401", "x", ""),
    ("SELECT u.emial FROM users u", "DF402", "emial", "did you mean `u.email`?"),
    ("SELECT emial FROM users", "DF402", "emial", "did you mean `users.email`?"),
    ("UPDATE users SET emial = 'x'", "DF402", "emial", "did you mean `email`?"),
    ("INSERT INTO users (id, emial) VALUES (1, 'x')", "DF402", "emial", "did you mean `email`?"),
    ("SELECT total FROM rich ORDER BY totl", "DF402", "totl", "did you mean `rich.total`?"),
    ("SELECT lenght(email) FROM users", "DF403", "lenght", "did you mean `length`?"),
    ("SELECT taxde(1)", "DF403", "taxde", "did you mean `taxed`?"),
    ("CALL archiv(now()::date)", "DF403", "archiv", "did you mean `archive`?"),
    (
        "SELECT taxed('a'::text)",
        "DF403",
        "taxed",
        "call it as `taxed(amount numeric, rate numeric DEFAULT 0.2)`",
    ),
    ("SELECT * FROM users WHERE born = id", "DF404", "=", ""),
    ("SELECT * FROM users WHERE mood = 'god'", "DF404", "'god'", ""),
    ("INSERT INTO users (id, email) VALUES ('one', 'x')", "DF404", "'one'", ""),
    ("INSERT INTO users (id, email) SELECT email, email FROM users", "DF404", "email", ""),
    ("SELECT 1 UNION SELECT born FROM users", "DF404", "born", ""),
    ("SELECT email, count(*) FROM users", "DF405", "email", ""),
    ("INSERT INTO users (id, email) VALUES (1)", "DF405", "email", ""),
    ("SELECT id FROM users u JOIN app.orders o ON o.user_id = u.id", "DF405", "id", ""),
    ("INSERT INTO users VALUES (1, 'x') ON CONFLICT (email) DO NOTHING", "DF405", "email", "are `(id)`"),
    ("INSERT INTO users VALUES (1, 'x') ON CONFLICT (emial) DO NOTHING", "DF402", "emial", "`users.email`"),
    ("INSERT INTO app.orders (id) VALUES (1)", "DF405", "id", "Use OVERRIDING SYSTEM VALUE"),
    ("UPDATE users SET born = NULL, born = now()", "DF405", "born", "take one of them out"),
    ("SELECT 1 FROM users u, app.orders u", "DF405", "u", "another name"),
    ("SELECT email FROM users GROUP BY email FOR UPDATE", "DF405", "FOR", "sub-query"),
    ("SELECT taxed(amount => 1, rat => 2)", "DF403", "rat", "did you mean `rate`?"),
    ("SELECT email COLLATE nowhere FROM users", "DF405", "COLLATE", "write a collation"),
    ("SELECT ''x''::moood", "DF405", "moood", "did you mean `mood`?"),
    ("CREATE TABLE x AS SELECT emial FROM users", "DF402", "emial", "did you mean `users.email`?"),
    ("EXPLAIN SELECT * FROM usres", "DF401", "usres", "did you mean `users`?"),
    ("TRUNCATE usres", "DF401", "usres", "did you mean `users`?"),
    ("VACUUM (ANALYZE) app.ordrs", "DF401", "ordrs", "did you mean `orders`?"),
    ("REFRESH MATERIALIZED VIEW poor", "DF401", "poor", ""),
    ("CREATE INDEX CONCURRENTLY i ON usres (id)", "DF401", "usres", "did you mean `users`?"),
]


@pytest.mark.parametrize(("sql", "code", "under", "help"), REFUSED)
def test_what_is_refused(schema: str, sql: str, code: str, under: str, help: str) -> None:
    [said] = asked(f"SELECT df.start($s$  {sql.replace(chr(39) * 2, chr(39))} $s$ ~> 'SELECT 1');", schema)
    assert (said.code, said.severity, said.under) == (code, "error", under)
    assert said.problem.json["help"]
    assert help in said.problem.json["help"]
    assert "SQLSTATE" in said.problem.message


NOWHERE = [
    ("VACUUM usres", "usres"),
    ("REINDEX TABLE usres", "usres"),
    ("REFRESH MATERIALIZED VIEW poor", "poor"),
]


@pytest.mark.parametrize(("sql", "under"), NOWHERE)
def test_what_is_in_no_schema_is_unknown_in_a_scratch_database(schema: str, sql: str, under: str) -> None:
    text = f"SELECT df.start($s${sql}$s$ ~> 'SELECT 1');"
    assert errors(asked(text, schema, scratch=True)) == [("DF401", under)]


def test_what_is_in_another_schema_is_none(schema: str) -> None:
    """A dump does not say which search path the roles have."""
    text = "SELECT df.start('VACUUM orders' ~> 'REINDEX TABLE orders' ~> 'SELECT total FROM orders');"
    assert errors(asked(text, schema, scratch=True)) == []


TRIED = [
    ("ALTER TABLE users ADD COLUMN x intt", "DF405", "intt"),
    ("ALTER TABLE users DROP COLUMN emial", "DF402", "emial"),
    ("CREATE INDEX ON users (emial)", "DF402", "emial"),
    ("CREATE INDEX CONCURRENTLY i ON users (emial)", "DF402", "emial"),
    ("DROP FUNCTION taxde(numeric)", "DF403", "taxde"),
    ("CREATE TABLE x (id int REFERENCES usres)", "DF401", "usres"),
    ("COMMENT ON COLUMN users.emial IS 'x'", "DF402", "emial"),
    ("ANALYZE users (emial)", "DF402", "emial"),
    ("CLUSTER users USING users_email", "DF405", "users_email"),
]


@pytest.mark.parametrize(("sql", "code", "under"), TRIED)
def test_what_is_tried_in_a_scratch_database(schema: str, sql: str, code: str, under: str) -> None:
    text = f"SELECT df.start($s${sql}$s$ ~> 'SELECT 1');"
    assert errors(asked(text, schema, scratch=True)) == [(code, under)]
    assert errors(asked(text, schema)) == []


ACROSS = [
    # The types of a step are those of the statement in front of it.
    ("'SELECT id, born FROM users' |=> 'b' ~> 'SELECT * FROM users WHERE born = $b.id'", "DF404", "="),
    ("'SELECT tags FROM users' |=> 'b' ~> 'SELECT $b + 1'", "DF404", "+"),
    ("'SELECT born FROM users' |=> 'b' ~> 'SELECT taxed($b.born)'", "DF403", "taxed"),
    ("'SELECT * FROM users' |=> 'b' ~> 'SELECT $b.emial'", "DF406", "$b.emial"),
    ("'SELECT * FROM users' |=> 'b' ~> 'SELECT x.emial FROM $b.* AS x'", "DF402", "emial"),
    (
        "('TABLE rich' | 'SELECT id, email FROM users') |=> 'b' ~> 'SELECT $b.mail'",
        "DF406",
        "$b.mail",
    ),
    ("df.map('SELECT * FROM users', 'SELECT $item.emial')", "DF406", "$item.emial"),
    ("df.map('SELECT * FROM users', 'SELECT emial FROM $item.*', batch_size => 5)", "DF402", "emial"),
    ("df.map('SELECT 1', 'SELECT 2') |=> 'm' ~> 'SELECT resultt FROM $m.*'", "DF402", "resultt"),
    ("df.http('http://x/', 'GET') |=> 'r' ~> 'SELECT * FROM users WHERE born = $r.status'", "DF404", "="),
    ("df.wait_for_signal('s', 5) |=> 'r' ~> 'SELECT $r.timed_out + 1'", "DF404", "+"),
    ("df.call('x', '{}') |=> 'r' ~> 'SELECT emial FROM users WHERE id = $r.id'", "DF402", "emial"),
    ("df.atomic('SELECT id FROM users' |=> 'b' ~> 'SELECT $b.id || true')", "DF404", "||"),
    ("df.try('SELECT 1', 'SELECT emial, $error.message FROM users')", "DF402", "emial"),
    ("df.retry('SELECT emial FROM users', 3)", "DF402", "emial"),
    ("df.compensate('SELECT id FROM users' |=> 'c', 'DELETE FROM users WHERE born = $c.id')", "DF404", "="),
    ("'SELECT count(*) > 5 FROM usres' ?> 'SELECT 1'", "DF401", "usres"),
    ("df.wait_for('SELECT done FROM users')", "DF402", "done"),
    ("@> (('SELECT $n? || ''x'' AS v' |=> 'n') ~> ('SELECT $n - 1' ?> df.break()))", "DF404", "-"),
]


@pytest.mark.parametrize(("text", "code", "under"), ACROSS)
def test_types_across_steps(schema: str, text: str, code: str, under: str) -> None:
    assert errors(asked(f"SELECT df.start({text});", schema)) == [(code, under)]


def test_what_variables_decide_on_is_left_alone_and_the_rest_is_not(schema: str) -> None:
    text = """df.sql('SELECT ''{days} days''::interval, ''{n}''::int FROM users WHERE mood = ''{mood}''')
        ~> 'SELECT emial FROM users';"""
    assert errors(asked(text, schema)) == [("DF402", "emial")]
    text = """('SELECT id FROM {table} WHERE {condition}' |=> 'some')
        ~> 'SELECT $some.id, x.y FROM $some.* AS x' ~> 'SELECT emial, $some FROM users';"""
    assert errors(asked(text, schema)) == [("DF402", "emial")]
    text = """SELECT df.define('d', 'SELECT 1', on_failure => 'SELECT id FROM {table}' ~> 'TABLE usres');"""
    assert errors(asked(text, schema)) == [("DF401", "usres")]
    for made in ("CREATE TABLE {table} (a int)", "{statement} it", "SELECT {function}(1)"):
        assert errors(asked(f"'{made}' ~> 'TABLE usres';", schema)) == []


def test_what_a_definition_does_about_failures(schema: str) -> None:
    text = """SELECT df.define('d', 'SELECT 1', on_failure =>
        'INSERT INTO users (id, emial) VALUES (1, $input.error->>''message'')' ~> 'SELECT 1 FROM usres');"""
    assert errors(asked(text, schema)) == [("DF402", "emial"), ("DF401", "usres")]
    text = text.replace("emial", "email").replace("usres", "users")
    assert errors(asked(text, schema)) == []


def test_the_types_of_inputs_are_known_behind_a_setting(schema: str) -> None:
    text = """SET search_path = public; SELECT df.define('d', 'SELECT born + $input.day FROM users',
        params => '{"day": "date"}');"""
    assert errors(asked(text, schema)) == [("DF404", "+")]


def test_declared_inputs_have_their_types(schema: str) -> None:
    text = """SELECT df.define('d', 'SELECT $input.day + $input.day', params => '{"day": "date"}');"""
    assert errors(asked(text, schema)) == [("DF404", "+")]
    text = """SELECT df.define('d', 'SELECT $input.n', params => '{"n": "moood"}');"""
    assert errors(asked(text, schema)) == [("DF405", "$input.n")]


IN_ORDER = [
    "'SELECT $input.a + 1, $input.b || ''x'', $input.c -> ''d'', $input.e' |=> 's' ~> 'SELECT $s + 1'",
    "'SELECT $input.x AS v' |=> 's' ~> 'SELECT $s.v + 1' ~> 'SELECT $s.v -> ''a'''",
    "'SELECT setup()' ~> 'SELECT id FROM made_by_setup'",
    "'CREATE TABLE fresh AS SELECT 1 AS a' ~> 'SELECT a FROM fresh'",
    "'DROP TABLE IF EXISTS users' ~> 'CREATE TABLE users AS SELECT * FROM rich' ~> 'SELECT total FROM users'",
    "'ALTER TABLE users ADD COLUMN age int' ~> 'UPDATE users SET age = 5'",
    "'CREATE FUNCTION f(int) RETURNS int LANGUAGE sql RETURN $$1' ~> 'SELECT f(1)'",
    "df.sql('SELECT nobody, knows FROM this', database => 'elsewhere') |=> 's' ~> 'SELECT $s.nobody'",
    "'SELECT 1 AS a' |=> 's' ~> 'SELECT * FROM $s.* AS x JOIN users ON x.a = users.id'",
    "'SELECT id FROM users' |=> 'u' ~> 'INSERT INTO app.orders (user_id, total) VALUES ($u.id, 5)'",
    "'DELETE FROM users WHERE id = 0' |=> 'd' ~> 'SELECT $d + 1, $d.row_count'",
    "'CALL archive(now()::date)' |=> 'c' ~> 'SELECT $c.moved + 1'",
    "('SELECT 1 AS a' & 'SELECT 2 AS a') |=> 'j' ~> 'SELECT $j -> 0'",
    "'SELECT 1' ?> ('SELECT 1 AS a' |=> 's') !> ('SELECT 2 AS a' |=> 's') ~> 'SELECT $s.a'",
    "'VACUUM users' ~> 'SET work_mem = 5' ~> 'NOTIFY x' ~> 'SHOW work_mem' ~> 'SHOW my.own'",
    "'SELECT $input.table AS t' |=> 'n' ~> 'VACUUM $n.t' ~> 'ALTER SEQUENCE counter RESTART WITH $n.t'",
    "'SELECT mood, span, doc FROM users, app.orders' |=> 's'"
    " ~> 'SELECT * FROM users, app.orders WHERE mood = $s.mood AND span && $s.span AND doc @> $s.doc'",
]


@pytest.mark.parametrize("text", IN_ORDER)
def test_what_is_in_order(schema: str, text: str) -> None:
    assert errors(asked(f"SELECT df.start({text});", schema)) == []
    assert errors(asked(f"SELECT df.start({text});", schema, scratch=True)) == []


def test_the_types_are_those_that_a_run_gives(schema: str) -> None:
    sql = "SELECT id, total, doc, span, ARRAY[id] AS ids, total * 2, total FROM app.orders"
    plan = plan_of(f"SELECT df.start('{sql}' |=> 's' ~> 'UPDATE users SET id = $s.id');")
    with DatabaseDescriber(schema) as describer:
        found = flow(plan, describer)
    assert found.problems == ()
    assert found.shapes["sql_2"] == Count()
    names = ["id", "total", "doc", "span", "ids", "?column?", "total_2"]
    types = ["bigint", "numeric", "jsonb", "int4range", "bigint[]", "numeric", "numeric"]
    assert found.shapes["sql_1"] == Rows(tuple(map(Column, names, types)))
    with psycopg.connect(schema) as connection:
        cursor = connection.execute(sql.encode())
        oids = [column.type_code for column in cursor.description or ()]
        formatted = connection.execute(
            "SELECT format_type(o, NULL) FROM unnest(%s::oid[]) o", (oids,)
        ).fetchall()
    assert [row[0] for row in formatted] == types


def test_nothing_is_run_and_nothing_stays(schema: str) -> None:
    def state() -> list[tuple[object, ...]]:
        with psycopg.connect(schema, autocommit=True) as connection:
            return connection.execute(
                "SELECT 'c', oid, relname, relfilenode, relnatts FROM pg_class WHERE relname !~ '^pg_'"
                " UNION ALL SELECT 'n', count(*)::int, '', 0, 0 FROM users"
                " UNION ALL SELECT 's', last_value, is_called::text, 0, 0 FROM counter"
                " UNION ALL SELECT 'p', oid, proname, 0, 0 FROM pg_proc"
                " UNION ALL SELECT 'l', count(*), '', 0, 0 FROM pg_locks WHERE pid <> pg_backend_pid()"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                " ORDER BY 1, 2"
            ).fetchall()

    before = state()
    steps = [
        "SELECT effect()",
        "INSERT INTO users SELECT effect(), 'x'",
        "SELECT nextval('counter')",
        "CREATE TABLE left_behind (id int)",
        "CREATE TABLE left_behind AS SELECT effect()",
        "EXPLAIN ANALYZE SELECT effect()",
        "DROP TABLE app.orders CASCADE",
        "TRUNCATE users CASCADE",
        "DO $x$ BEGIN PERFORM effect(); END $x$",
        "CALL archive(now()::date)",
        "ALTER TABLE users ADD COLUMN n int DEFAULT effect()",
    ]
    text = " ~> ".join(f"$s${step}$s$" for step in steps)
    for scratch in (False, True):
        asked(
            f"SELECT df.start({text}); SELECT effect(); INSERT INTO users VALUES (1, 'x');",
            schema,
            scratch=scratch,
        )
        assert state() == before


def test_statements_between_the_workflows(schema: str) -> None:
    text = (
        "SET search_path = app; SELECT df.start('SELECT total FROM orders'); SELECT emial FROM public.users;"
    )
    assert errors(asked(text, schema)) == [("DF402", "emial")]
    text = "CREATE TABLE later (id int); SELECT df.start('SELECT id FROM later'); SELECT id FROM later;"
    said = asked(text, schema)
    assert errors(said) == []
    assert {each.code for each in said} == {"DF410"}


def test_where_df_is_not_installed(bare_database: str) -> None:
    text = "SELECT df.start('SELECT 1 AS n' |=> 'x' ~> df.sleep('$x.n') ~> 'SELECT df.signal(''i'', ''s'')');"
    said = asked(text, bare_database)
    assert errors(said) == []
    assert "the df schema is not installed" in said[0].problem.message


def test_who_may_not_see_it_is_told_nothing_wrong(schema: str, roles: Callable[..., str]) -> None:
    role = roles("anna")
    said = asked("SELECT df.start('SELECT total FROM app.orders');", schema, before=[f"SET ROLE {role}"])
    assert errors(said) == []
    assert "permission denied" in said[0].problem.message


def test_a_lock_that_somebody_holds_is_no_error(schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BEGIN", "BEGIN; SET LOCAL lock_timeout = '100ms'")
    with psycopg.connect(schema) as connection:
        connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        said = asked("SELECT df.start('SELECT id FROM users');", schema)
    assert errors(said) == []
    assert "55P03" in said[0].problem.message


@pytest.fixture(scope="module")
def golden(server: Server, template: str) -> str:
    """A database with what the golden cases work with."""
    url = server.url("golden_cases")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE golden_cases TEMPLATE {template} STRATEGY FILE_COPY".encode())
    load(url, ROOT / "golden" / "tables.sql")
    return url


def test_golden_cases_are_in_order(golden: str) -> None:
    wrong: list[object] = []
    for path in sorted((ROOT / "golden/ok").glob("*/workflow.dfsql")):
        said = asked(path.read_bytes().decode(), golden)
        wrong += [(path.parent.name, *error) for error in errors(said)]
    assert wrong == []


def test_problems_stand_in_the_order_of_the_file(schema: str) -> None:
    text = "SELECT df.start('SELECT a FROM users' ~> 'DELETE FROM users' ~> 'SELECT b FROM users');"
    with DatabaseDescriber(schema) as describer:
        found = deepened(compilation(text), Depth(describer=describer))
    places = [problem.json["span"] for problem in found.problems]
    assert places == sorted(places) and len(places) >= 2
