"""What the describer says of statements, to the token; with references; of bad text."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Final

import pytest

from dfc.compiler.driver import compile_workflow
from dfc.compiler.parse import parse_expression
from dfc.compiler.plan import SqlNode
from dfc.compiler.plan_describe import (
    UNKNOWN,
    Array,
    Column,
    Described,
    Json,
    Refused,
    Rows,
    Shape,
    Statement,
    Unsaid,
    code_of,
)
from dfc.compiler.schema import Catalog, SchemaDescriber
from dfc.compiler.source import Source
from tests.compiler_schema.deep import SHAPES
from tests.compiler_schema.support import catalog, described
from tests.growth import assert_linear


@pytest.mark.parametrize(
    ("sql", "code", "place", "help"),
    [
        ("SELECT 1 FROM [[ordres]]", "DF401", "ordres", "did you mean `orders`?"),
        ("SELECT 1 FROM app.[[user]] u", "DF401", "user", "did you mean `users`?"),
        ("SELECT 1 FROM [[ap]].users u", "DF401", "ap", "did you mean `app`?"),
        ("SELECT 1 FROM public.[[users]]", "DF401", "users", "did you mean `app.users`?"),
        ("DELETE FROM [[itemz]]", "DF401", "itemz", "did you mean `items`?"),
        ("SELECT [[z]].id FROM orders o", "DF401", "z", ""),
        ("SELECT [[totl]] FROM orders", "DF402", "totl", "did you mean `total`?"),
        ("SELECT o.[[totl]] FROM orders o", "DF402", "totl", "did you mean `total`?"),
        ("SELECT app.users.[[emial]] FROM app.users", "DF402", "emial", "did you mean `email`?"),
        ('SELECT ä."[[Ünbekannt]]" FROM orders "ä", (SELECT \'ööö\' AS x) y', "DF402", '"Ünbekannt"', ""),
        ("SELECT 'é', [[totl]] FROM orders", "DF402", "totl", "did you mean `total`?"),
        ("SELECT /* é */ [[totl]] FROM orders", "DF402", "totl", "did you mean `total`?"),
        ("UPDATE orders SET [[totl]] = 1", "DF402", "totl", "did you mean `total`?"),
        ("INSERT INTO orders (id, [[totl]]) VALUES (1, 2)", "DF402", "totl", "did you mean `total`?"),
        ("SELECT 1 FROM items JOIN orders USING ([[order_id]])", "DF402", "order_id", ""),
        ("INSERT INTO items VALUES (1, 1) ON CONFLICT (order_id, [[lin]]) DO NOTHING", "DF402", "lin", ""),
        ("SELECT (home).[[town]] FROM app.users", "DF402", "town", ""),
        ("SELECT x.[[b]] FROM (SELECT 1 AS a) x", "DF402", "b", ""),
        ("WITH q AS (SELECT 1 AS a) SELECT [[b]] FROM q", "DF402", "b", ""),
        ("SELECT [[lenght]](note) FROM orders", "DF403", "lenght", "did you mean `length`?"),
        ("SELECT app.[[top_user]](1)", "DF403", "top_user", "did you mean `top_users`?"),
        ("SELECT [[lower]](id) FROM orders", "DF403", "lower", ""),
        ("SELECT [[split]](1, 2, 3)", "DF403", "split", ""),
        ("CALL [[tidi]](3)", "DF403", "tidi", "did you mean `tidy`?"),
        ("SELECT 1 FROM orders WHERE id = [['abc']]", "DF404", "'abc'", ""),
        ("SELECT 1 FROM orders WHERE id [[=]] note", "DF404", "=", ""),
        ("SELECT 1 FROM orders WHERE [[total]]", "DF404", "total", ""),
        ("SELECT 1 FROM app.users WHERE mood = [['hapy']]", "DF404", "'hapy'", ""),
        ("UPDATE orders SET total = [[note]]", "DF404", "note", ""),
        ("INSERT INTO orders (id) VALUES ([[true]])", "DF404", "true", ""),
        ("SELECT coalesce(id, [[note]]) FROM orders", "DF404", "note", ""),
        ("SELECT id FROM orders UNION SELECT [[note]] FROM orders", "DF404", "note", ""),
        ("SELECT id[[::]]date FROM orders", "DF404", "::", ""),
        ("INSERT INTO orders (id) VALUES (1, [[2]])", "DF405", "2", ""),
        ("INSERT INTO orders (id, [[total]]) VALUES (1)", "DF405", "total", ""),
        ("INSERT INTO orders (total_with_tax) VALUES ([[2]])", "DF405", "2", "leave the column out"),
        ("UPDATE orders SET [[total_with_tax]] = 2", "DF405", "total_with_tax", "leave the column out"),
        ("INSERT INTO orders (id, [[id]]) VALUES (1, 2)", "DF405", "id", ""),
        ("SELECT [[line]] FROM items i, items j", "DF405", "line", ""),
        ("SELECT id::[[intt]] FROM orders", "DF405", "intt", ""),
        ("SELECT [[note]], count(*) FROM orders", "DF405", "note", "add `note` to GROUP BY, or aggregate it"),
        ("TRUNCATE orders, [[itmes]]", "DF401", "itmes", "did you mean `items`?"),
        ("CREATE INDEX ON orders ([[totl]])", "DF402", "totl", "did you mean `total`?"),
        ("COPY items (sku, [[prise]]) TO '/tmp/x'", "DF402", "prise", "did you mean `price`?"),
        ("VACUUM ANALYZE [[itmes]]", "DF401", "itmes", "did you mean `items`?"),
        ("CREATE TABLE new AS SELECT [[totl]] FROM orders", "DF402", "totl", "did you mean `total`?"),
        ("EXPLAIN SELECT [[totl]] FROM orders", "DF402", "totl", "did you mean `total`?"),
    ],
)  # fmt: skip
def test_a_mistake_is_found_at_its_token(sql: str, code: str, place: str, help: str, known: Catalog) -> None:
    before, _, rest = sql.partition("[[")
    sql = before + rest.replace("]]", "")
    answer = described(known, sql)
    assert isinstance(answer, Refused), answer
    assert code_of(answer) == code, answer
    assert answer.start is not None
    if place.startswith('"'):
        answer_text = sql[answer.start : answer.end]
        assert answer_text == place
    else:
        assert (answer.start, sql[answer.start : answer.end]) == (len(before), place)
    assert answer.help.startswith(help)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM users",
        "SELECT anything FROM pg_stat_user_tables",
        "SELECT anything FROM information_schema.whatever",
        "SELECT anything FROM pg_temp.t",
        "SELECT df.start('SELECT 1'), x FROM df.instances",
        "SELECT x.anything FROM pg_class c, LATERAL pg_something(c.oid) AS x",
        "NOT SQL AT ALL",
        "",
        "SELECT $1 + totl FROM orders",
        "CREATE EXTENSION vector",
        "CREATE INDEX ON orders USING hnsw (note)",
        "ALTER TABLE IF EXISTS nowhere ADD COLUMN x int",
        "GRANT SELECT ON df.nothing TO nobody",
    ],
)
def test_what_is_not_known_for_certain_passes(sql: str, known: Catalog) -> None:
    assert not isinstance(described(known, sql), Refused)


def after(shape: Shape, sql: str, known: Catalog) -> object:
    """What is said of a statement behind a step `u` that gives this."""
    source = Source("x.dfsql", f"('SELECT * FROM app.users' |=> 'u') ~> '{sql}'")
    tree = parse_expression(source).tree
    assert tree is not None
    plan = compile_workflow(tree, source).plan
    assert plan is not None
    node = plan.nodes[-1]
    assert isinstance(node, SqlNode)
    sources = {parameter.key: shape for parameter in node.body.parameters}
    return SchemaDescriber(known).describe(Statement(node=node.id, body=node.body, sources=sources))


USER: Shape = Rows((Column("id", "bigint"), Column("email", "text"), Column("mood", "app.mood")))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT $u.id AS a, $u.email AS b, $u.mood AS c, $u.row_count AS d, $u AS e",
         [("a", "bigint"), ("b", "text"), ("c", "app.mood"), ("d", "bigint"), ("e", "bigint")]),
        ("SELECT * FROM $u.*", [("id", "bigint"), ("email", "text"), ("mood", "app.mood")]),
        ("SELECT x.email FROM $u.* AS x JOIN orders o ON o.user_id = x.id", [("email", "text")]),
        ("SELECT u.id FROM $u.* WHERE u.mood = ''sad''", [("id", "bigint")]),
        ("SELECT o.* FROM (SELECT id AS i FROM $u.*) o", [("i", "bigint")]),
        ("SELECT id FROM orders WHERE note = ''of $u.id''", [("id", "integer")]),
        ("SELECT now() - interval ''$u.id days'' AS x", [("x", "timestamp with time zone")]),
        ("INSERT INTO orders (user_id) VALUES ($u.id) RETURNING id", [("id", "integer")]),
    ],
)  # fmt: skip
def test_types_come_through_references(sql: str, expected: list[tuple[str, str]], known: Catalog) -> None:
    answer = after(USER, sql, known)
    assert isinstance(answer, Described), answer
    assert answer.shape == Rows(tuple([Column(*each) for each in expected]))


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("SELECT 1 FROM orders WHERE total = $u.email", "="),
        ("UPDATE orders SET total = $u.email", "$u.email"),
        ("SELECT x.nope FROM $u.* x", "nope"),
        ("SELECT $u.id, $u.email, totl FROM orders", "totl"),
        ("SELECT ''$u.id'', totl FROM orders", "totl"),
        ("INSERT INTO orders (id, total) SELECT $u.id, $u.email", "$u.email"),
    ],
)
def test_mistakes_with_references_are_found_at_their_place(sql: str, place: str, known: Catalog) -> None:
    answer = after(USER, sql, known)
    assert isinstance(answer, Refused), answer
    written = sql.replace("''", "'")
    assert answer.start is not None
    assert written[answer.start : answer.end] == place


@pytest.mark.parametrize("shape", [Rows(None), Json(), UNKNOWN, Array(())])
def test_a_source_that_is_not_known_fits_everywhere(shape: Shape, known: Catalog) -> None:
    sql = "SELECT id FROM orders WHERE total = $u.x AND note = $u.y AND placed_at > $u.z"
    answer = after(shape, sql, known)
    assert isinstance(answer, Described)


STATEMENTS: Final[tuple[Callable[[int], str], ...]] = (
    lambda n: "SELECT " + "(" * n + "1" + ")" * n,
    lambda n: "SELECT " + "(SELECT " * (n // 25) + "1" + ")" * (n // 25),
    lambda n: "SELECT " + " || ".join(["note"] * n) + " FROM orders",
    lambda n: "SELECT 1 FROM orders WHERE " + " OR ".join(["id = 1"] * n),
    lambda n: "SELECT 1 FROM orders WHERE id IN (" + ", ".join(["1"] * n) + ")",
    lambda n: "INSERT INTO orders (id, note) VALUES " + ", ".join(["(1, 'x')"] * n),
    lambda n: " UNION ALL ".join(["SELECT id FROM orders"] * n),
    lambda n: "SELECT 1 FROM orders o0 " + " ".join(f"JOIN orders o{i} ON o{i}.id = o0.id" for i in range(1, n // 10)),
    lambda n: "WITH " + ", ".join(f"c{i} AS (SELECT * FROM {f'c{i - 1}' if i else 'orders'})" for i in range(n // 2))
    + " SELECT 1",
    lambda n: "WITH RECURSIVE a AS (" * (n // 40) + "SELECT 1 UNION SELECT 2" + ") SELECT 1 UNION SELECT 2" * (n // 40),
    lambda n: "SELECT " + "case when true then " * (n // 4) + "1" + " end" * (n // 4),
    lambda n: "SELECT note" + "[1]" * n + " FROM orders",
    lambda n: "SELECT " + "- " * n + "1",
    lambda n: "SELECT 'é" + "é" * 10 * n + "', totl FROM orders",
    lambda n: "SELECT " + ", ".join(f"'é{i}', total" for i in range(n)) + " FROM orders",
    lambda n: 'SELECT "' + "x" * 10 * n + '" FROM orders',
)  # fmt: skip


@pytest.mark.parametrize("sql_of", STATEMENTS, ids=range(len(STATEMENTS)))
def test_bad_and_big_texts_take_linear_time(sql_of: Callable[[int], str], known: Catalog) -> None:
    assert_linear(lambda n: described(known, sql_of(n)), 2_000)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + " || ".join(["note"] * 60_000) + " FROM orders",
        "SELECT 1 FROM orders WHERE " + " OR ".join(["id = 1"] * 50_000),
        "SELECT 1 FROM orders o0 " + " ".join(f"JOIN orders o{n} ON o{n}.id = o0.id" for n in range(1, 3_000)),
        "SELECT \x00",
        "SELECT '\ud800'",
    ],
    ids=range(5),
)  # fmt: skip
def test_texts_that_are_too_much_are_no_trouble(sql: str, known: Catalog) -> None:
    answer = described(known, sql)
    assert answer is None or isinstance(answer, Described | Refused | Unsaid)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(each, marks=() if each in ("withs", "subscripts") else pytest.mark.long)
        for each in SHAPES
    ],
)
def test_the_deepest_trees_that_are_read_need_a_quarter_of_a_usual_stack(shape: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.compiler_schema.deep", shape, str(2 * 1024 * 1024)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout == "alive\n", done.stderr[-500:]


def test_a_table_with_many_columns_is_no_trouble() -> None:
    def look(count: int) -> None:
        names = [f"c{number}" for number in range(count)]
        known = catalog(f"CREATE TABLE wide ({', '.join(f'{name} int' for name in names)});")
        sql = f"SELECT {', '.join(names)} FROM wide"
        assert isinstance(described(known, sql), Described)
        assert isinstance(described(known, sql.replace("c7,", "c7x,")), Refused)

    assert_linear(look, 1_500)
