"""Files: statements, their kinds, and what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler import parse
from dfc.compiler.ast import Chain, Expression, Http, ServerStatement, Sql, Step, Submitting, Workflow
from dfc.compiler.parse import parse_expression, parse_file
from dfc.compiler.render import render, to_json
from dfc.compiler.source import Source
from dfc.grammar import tables
from tests.growth import assert_linear


def problems(text: str) -> list[tuple[str, str]]:
    """Code and the source under the span of every problem, notes about server statements left out."""
    found = parse_file(Source("test", text)).problems
    return [(p.code, text[p.span.start : p.span.end]) for p in found if p.code != "DF240"]


def kinds(text: str) -> list[str]:
    result = parse_file(Source("test", text))
    return ["workflow" if isinstance(s, Workflow) else s.text for s in result.statements]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("DF154", "")]),
        ("-- nothing\n/* here */ ; ;", [("DF154", "")]),
        ("'SELECT 1' 'SELECT 2'", [("DF101", "'SELECT 2'")]),
        ("'SELECT 1' ~> ", [("DF101", "~>")]),
        ("~> 'SELECT 1'", [("DF101", "~>")]),
        ("'SELECT 1' @> 'SELECT 2'", [("DF101", "@>")]),
        ("'SELECT 1' ~> SELECT 2", [("DF101", "SELECT")]),
        ("'SELECT 1' ~> SELECT a FROM b", [("DF101", "SELECT")]),
        ("'SELECT 1' ~> cleanup", [("DF101", "cleanup")]),
        ("df.step('a', body)", [("DF101", "body")]),
        ("'SELECT 1' ~> 12ab", [("DF101", "12ab")]),
        ("'SELECT 1' ~> $x", [("DF101", "$x")]),
        ("'SELECT 1' ~> 1 + 1", [("DF101", "+")]),
        ("('SELECT 1' ~> 'SELECT 2'", [("DF103", "(")]),
        ("('SELECT 1'] ~> 'SELECT 2'", [("DF103", "(")]),
        ("'SELECT 1')", [("DF101", ")")]),
        ("'SELECT 1", [("DF102", "'")]),
        ("E'SELECT 1\\'", [("DF102", "E'")]),
        ("$q$SELECT 1", [("DF102", "$q$")]),
        ("'SELECT 1' /* ~> 'SELECT 2'", [("DF102", "/*")]),
        ("df.\"step('a', 'SELECT 1')", [("DF102", '"')]),
        ("'SELECT 1' ~> 'x\0y z'", [("DF150", "\0")]),
        ("\\c other\n'SELECT 1'", [("DF151", "\\c other")]),
        (
            "COPY t FROM STDIN;\n1\t'2\n\\.\n'SELECT 1' 'x'",
            [("DF152", "COPY t FROM STDIN"), ("DF101", "'x'")],
        ),
        ("E'SELECT \\u00'", [("DF153", "\\u")]),
        ("df.status('x')", [("DF155", "df.status")]),
        ("df.start('SELECT 1')", [("DF155", "df.start('SELECT 1')")]),
        ("df.setp('a', 'SELECT 1')", [("DF156", "df.setp")]),
        ("step('a', 'SELECT 1')", [("DF156", "step")]),
        ("df.step('a b', 'SELECT 1')", [("DF113", "'a b'")]),
        ("df.step('größe', 'SELECT 1')", [("DF113", "'größe'")]),
        ("df.step('input', 'SELECT 1')", [("DF113", "'input'")]),
        (f"df.step('{'a' * 64}', 'SELECT 1')", [("DF113", f"'{'a' * 64}'")]),
        ("'SELECT 1' |=> 'item'", [("DF113", "'item'")]),
        ("'SELECT 1' ~> NULL", [("DF116", "NULL")]),
        ("df.step(NULL, 'SELECT 1')", [("DF116", "NULL")]),
        ("df.sql(NULL)", [("DF116", "NULL")]),
        ("'' ~> ' \n'", [("DF116", "''"), ("DF116", "' \n'")]),
        ("df.sql('')", [("DF116", "df.sql('')")]),
        ("'CHECKPOINT' ~> 'SELECT 1'", [("DF112", "'CHECKPOINT'")]),
        ("'SELECT 1' ~> 'SELECT ' || '2'", [("DF115", "||")]),
        ("df.step('a', 'SELECT 1') || ' x'", [("DF115", "||")]),
        ("'SELECT /*dfc:1:2*/'", [("DF115", "'SELECT /*dfc:1:2*/'")]),
        ("'SELECT 1' ~> 5", [("DF159", "5")]),
        ("df.sql(5)", [("DF159", "5")]),
        ("df.sql('{}'::jsonb)", [("DF159", "'{}'::jsonb")]),
        ("df.http('http://h', timeout_seconds => 1.5)", [("DF159", "1.5")]),
        ("df.http('http://h', headers => '[')", [("DF159", "'['")]),
        ("df.http('http://h', headers => '{\"a\": 1}')", [("DF114", "'{\"a\": 1}'")]),
        ("df.http('http://h', 'BREW')", [("DF114", "'BREW'")]),
        ("df.http('ftp://h')", [("DF114", "'ftp://h'")]),
        ("df.http('http://h', timeout_seconds => -1)", [("DF114", "-1")]),
        ("df.http('http://h', metod => 'GET')", [("DF160", "metod => 'GET'")]),
        ("df.compensate(Do => 'a b', undo => 'c d')", [("DF101", "Do")]),
        ("df.sql(query => 'SELECT 1', query => 'SELECT 2')", [("DF161", "query => 'SELECT 2'")]),
        ("df.step(name => 'a', 'SELECT 1')", [("DF161", "'SELECT 1'")]),
        ("df.step('a')", [("DF162", "df.step('a')")]),
        ("df.join()", [("DF162", "df.join()")]),
        ("df.step('a', 'SELECT 1', 'SELECT 2')", [("DF163", "'SELECT 2'")]),
        ("df.parallel(ARRAY['SELECT 1'], 'cancel', 'x')", [("DF163", "'x'")]),
        ("df.race(ARRAY['SELECT 1'], 'SELECT 2')", [("DF163", "'SELECT 2'")]),
        ("df.seq(ARRAY['SELECT 1'], a => 'SELECT 2')", [("DF163", "a => 'SELECT 2'")]),
        ("df.join('a b', 'c d', on_failure => 'cancel')", [("DF161", "on_failure => 'cancel'")]),
        ("df.join(VARIADIC ARRAY['a b'], on_failure => 'wait')", [("DF161", "on_failure => 'wait'")]),
        ("df.join(ARRAY[]::text[])", [("DF162", "ARRAY[]::text[]")]),
        ("df.join(branches => 5)", [("DF159", "5")]),
        ("df.join(ARRAY['a b', 'x', NULL])", [("DF112", "'x'"), ("DF116", "NULL")]),
        ("df.join('SELECT 1', ARRAY['SELECT 1'])", [("DF163", "ARRAY['SELECT 1']")]),
        ("df.seq('SELECT 1', VARIADIC ARRAY['a b'])", [("DF163", "VARIADIC ARRAY['a b']")]),
        ("df.seq(VARIADIC 'SELECT 1')", [("DF163", "VARIADIC 'SELECT 1'")]),
        ("'SELECT 1' !> 'SELECT 2'", [("DF164", "!>")]),
        ("df.sleep('x'::point)", [("DF165", "'x'::point")]),
        ("(" * 257 + "'SELECT 1'" + ")" * 257, [("DF511", "(")]),
    ],
)
def test_what_is_wrong(text: str, expected: list[tuple[str, str]]) -> None:
    assert problems(text) == expected


def test_all_problems_of_a_file_come_in_one_run() -> None:
    text = "df.stepp('a', 'x y');\n('SELECT 1';\n'SELECT 1' ~>;\nSELECT 1;\n'a' ~> 'b' ~> '';\n'open"
    codes = [code for code, _ in problems(text)]
    assert codes == ["DF156", "DF103", "DF101", "DF112", "DF112", "DF116", "DF102"]
    assert kinds(text) == ["workflow", "SELECT 1", "workflow"]
    statements = parse_file(Source("test", text)).statements
    assert all(statement.faulty for statement in statements if isinstance(statement, Workflow))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'SELECT 1'; 'SELECT 2'", ["workflow", "workflow"]),
        ("\ufeff'SELECT 1';\r\n-- end\r\n", ["workflow"]),
        ("SELECT df.start('SELECT 1')", ["workflow"]),
        ("select \"df\".\"start\"('SELECT 1', label => 'x') ;", ["workflow"]),
        ("SELECT df.setvar('a', 'b')", ["SELECT df.setvar('a', 'b')"]),
        ("SELECT df.unsetvar(5); SELECT df.clearvars()", ["SELECT df.unsetvar(5)", "SELECT df.clearvars()"]),
        ("SELECT df.start('SELECT 1') AS id", ["SELECT df.start('SELECT 1') AS id"]),
        ("SELECT df.start('x y'), df.start('x y')", ["SELECT df.start('x y'), df.start('x y')"]),
        ("SELECT df.start(q) FROM t", ["SELECT df.start(q) FROM t"]),
        ("SELECT df.start('SELECT ' || now())", ["SELECT df.start('SELECT ' || now())"]),
        ("SELECT df.start((SELECT 'x y'))", ["SELECT df.start((SELECT 'x y'))"]),
        ("SELECT df.start('{}'::jsonb, 'x')", ["SELECT df.start('{}'::jsonb, 'x')"]),
        ("SELECT df.start('x y', priority => 1 + 1)", ["SELECT df.start('x y', priority => 1 + 1)"]),
        ("SELECT df.status('x')", ["SELECT df.status('x')"]),
        (
            "SELECT df.start(df.retry('x y' | 'SELECT 1' ?> $$x y$$ !> (@> df.break(-1)), 3, interval '5 s',"
            " retry_on => ARRAY['40']::text[]) ~> df.sql('x y', settings => jsonb_build_object('a', 1)))",
            ["workflow"],
        ),
        ("SELECT df.start(df.break(interval '1 day'))", ["SELECT df.start(df.break(interval '1 day'))"]),
        ("(SELECT 1) UNION (SELECT 2)", ["(SELECT 1) UNION (SELECT 2)"]),
        ("((VALUES (1)))", ["((VALUES (1)))"]),
        ("INSERT INTO t VALUES (';') -- x\n;", ["INSERT INTO t VALUES (';')"]),
        (
            "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
            [
                "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
                "SELECT 3",
            ],
        ),
        (
            "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; END; BEGIN; COMMIT",
            ["CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT 1; END", "BEGIN", "COMMIT"],
        ),
        (
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
            ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"],
        ),
        ("DO $$ BEGIN; END $$", ["DO $$ BEGIN; END $$"]),
    ],
)
def test_statements(text: str, expected: list[str]) -> None:
    assert problems(text) == []
    assert kinds(text) == expected


def workflow(text: str) -> Workflow:
    result = parse_file(Source("test", text))
    assert result.problems == ()
    [statement] = result.statements
    assert isinstance(statement, Workflow)
    return statement


def test_the_label_is_taken_from_the_call() -> None:
    assert workflow("SELECT df.start('SELECT 1', 'nightly')").label == "nightly"
    assert workflow("SELECT df.start(label => 'a' || 'b', fut => 'SELECT 1')").label == "ab"
    assert workflow("SELECT df.start('SELECT 1', NULL, transaction_mode => 'CALLER')").label is None


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("'SELECT 1', database => 'x'", {"database": "x"}),
        ("""'SELECT 1', input => '{"b": 1, "a": 1.0}'""", {"input": '{"a": 1.0, "b": 1}'}),
        ("'SELECT 1', 'l', NULL, 'New'", {"transaction_mode": "New"}),
        ("'SELECT 1', priority => '7', queue => 'q'", {"priority": "7", "queue": "q"}),
        ("'SELECT 1', start_at => timestamptz '2030-01-01'", {"start_at": "2030-01-01"}),
        (
            "'SELECT 1', timeout => 90.0, debounce => '0.5', debounce_key => 'k'",
            {"timeout": "90 seconds", "debounce_key": "k", "debounce": "0.5 seconds"},
        ),
    ],
)
def test_the_options_of_a_start(text: str, options: dict[str, str]) -> None:
    found = workflow(f"SELECT df.start({text})")
    assert (found.kind, dict(found.options)) == (Submitting.START, options)


def test_a_definition() -> None:
    params = '{"n": {"default": 5, "type": "int"}, "day": " date "}'
    found = workflow(
        f"SELECT df.define('nightly', 'SELECT 1', '{params}', on_failure => 'SELECT 2', priority => 3)"
    )
    assert (found.kind, found.label, dict(found.options)["priority"]) == (Submitting.DEFINE, "nightly", "3")
    assert found.params is not None and found.params.types == {"n": "int", "day": "date"}
    assert found.params.written == (
        '{"n": {"type": "int", "default": 5, "required": false}, "day": {"type": "date", "required": true}}'
    )
    assert isinstance(found.body, Sql) and isinstance(found.on_failure, Sql)


def test_a_schedule() -> None:
    found = workflow("SELECT df.schedule('s', '0 3 * * *', 'SELECT 1', time_zone => 'UTC')")
    assert (found.kind, found.label) == (Submitting.SCHEDULE, "s")
    assert dict(found.options) == {"cron": "0 3 * * *", "time_zone": "UTC"}


@pytest.mark.parametrize(
    ("text", "starts"),
    [("df.start('nightly', input => '{}')", True), ("df.schedule('s', '0 3 * * *', 'nightly')", False)],
)
def test_what_names_a_definition_goes_to_the_server(text: str, starts: bool) -> None:
    result = parse_file(Source("test", f"SELECT {text};"))
    [statement] = result.statements
    assert result.problems == ()
    assert isinstance(statement, ServerStatement)
    assert (statement.text, statement.starts) == (f"SELECT {text}", starts)


def test_a_request_with_constants() -> None:
    text = (
        "df.http('https://h/x', 'put', json_build_object('a', ARRAY[1, 2], 'b', NULL)::text, "
        "jsonb_build_object('X-Long', '1', 'Q', E'\\u00e9'), timeout_seconds := 0x10)"
    )
    body = workflow(text).body
    assert isinstance(body, Http)
    assert body.body is not None
    assert (body.method, body.body.value) == ("PUT", '{"a" : [1, 2], "b" : null}')
    assert (body.headers, body.timeout_seconds) == ('{"Q": "é", "X-Long": "1"}', 16)


def test_a_place_in_a_step_is_a_place_in_the_file() -> None:
    text = "df.step('a', 'SELECT ''x'', '\n  'broken' || E' \\x41 end')"
    body = workflow(text).body
    assert isinstance(body, Step) and isinstance(body.body, Sql)
    query = body.body.query
    assert query.value == "SELECT 'x', broken A end"
    for word in ("SELECT", "broken", "end"):
        where = query.locate(query.value.index(word), query.value.index(word) + len(word))
        assert text[where.start : where.end] == word
    where = query.locate(query.value.index("A"), query.value.index("A") + 1)
    assert text[where.start : where.end] == "\\x41"


def test_parentheses_of_256_levels_are_parsed() -> None:
    deep = "(" * 256 + "'SELECT 1'" + ")" * 256
    assert workflow(deep).body == workflow("'SELECT 1'").body
    assert workflow(f"SELECT df.start({deep})").body == workflow("'SELECT 1'").body


def chain(count: int) -> str:
    return " ~> ".join(f"df.step('s{i}', 'SELECT {i}')" for i in range(count))


def test_a_chain_of_ten_thousand_steps() -> None:
    body = workflow(chain(10_000)).body
    assert isinstance(body, Chain)
    assert len(body.items) == 10_000


@pytest.mark.parametrize(
    "unit",
    [
        "df.step('a', 'SELECT 1') ~> ",
        "'x y' || ",
        "(",
        "'a' 'b' ",
        "SELECT 1;\n",
        "$a$ ",
        "\\x\n",
        "x + y ",
        "@> ",
        "'x y' | ",
        "'x y' ?> 'x y' !> ",
        "df.sql('x y', timeout => '5 s', retry_on => '{40,timeout}', settings => '{\"a\": 1}') ~> ",
    ],
    ids=repr,
)
def test_time_is_linear(unit: str) -> None:
    assert_linear(lambda count: parse_file(Source("test", unit * count)), 2_000)


@given(st.text("'\"$();~>|=&?!@-/*.,\\ \n\0aéE1df[]:", max_size=60))
def test_garbage_gives_problems_and_never_an_exception(text: str) -> None:
    source = Source("test", text)
    result = parse_file(source)
    assert render(result.problems, source, color=True) or not result.problems
    for problem in result.problems:
        assert 0 <= problem.span.start <= problem.span.end <= len(text)
        to_json(problem, source)
    parse_expression(source)


TOKENS = "'a-b' 'x' $$-$$ ~> |=> & | ?> !> @> || ( ) , df.step( df.seq( df.sql( => body ::text NULL 5 - ;"


@given(st.lists(st.sampled_from(TOKENS.split()), max_size=14))
def test_token_soup_gives_problems_and_never_an_exception(tokens: list[str]) -> None:
    result = parse_file(Source("test", " ".join(tokens)))
    errors = [p for p in result.problems if p.severity == "error"]
    statements = [t for t in result.statements if not isinstance(t, ServerStatement)]
    assert statements or errors or result.statements


def test_a_lone_surrogate_is_a_problem() -> None:
    assert [code for code, _ in problems("'SELECT \ud800'")] == ["DF150"]


def test_stored_tables_give_the_same_tree_and_stale_ones_are_not_used(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "df.step('a', 'SELECT 1') ~> ('SELECT 2' & 'SELECT 3') |=> 'x'"

    def tree() -> Expression | None:
        tables.tables.cache_clear()
        return parse_expression(Source("test", text)).tree

    stored = tmp_path_factory.mktemp("tables") / "dfsql.tables"
    monkeypatch.setattr(tables, "STORED", stored)
    computed = tree()
    tables.store()
    assert tree() == computed
    stored.write_bytes(b"another stamp\n" + stored.read_bytes())
    assert tree() == computed
    stamp, _ = stored.read_bytes().split(b"\n", 2)[1:]
    for rest in (b"rubbish", b"{}", b"[]", b"\xff"):
        stored.write_bytes(stamp + b"\n" + rest)
        assert tree() == computed
    tables.tables.cache_clear()


def test_notes_on_many_server_statements_are_no_errors() -> None:
    parsed = parse_file(Source("test", "INSERT INTO t VALUES (1);\n" * 3_000 + "'SELECT 1';"))
    assert len(parsed.statements) == 3_001
    assert {problem.code for problem in parsed.problems} == {"DF240"}


def test_a_file_full_of_errors_is_given_up() -> None:
    parsed = parse_file(Source("test", "df.nope(1);\n" * 3_000))
    assert len(parsed.problems) == parse.PROBLEMS_MAX + 1
    assert "what follows is not looked at" in parsed.problems[-1].message
