"""The wire text that functions and operators build, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.worker import Connection, connect, refusal, value

A, B, C = '{"sql":"SELECT 1"}', '{"sql":"SELECT 2"}', '{"sql":"SELECT 3"}'
a, b, c = "'SELECT 1'", "'SELECT 2'", "'SELECT 3'"


@pytest.fixture
def session(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection
        connection.execute("TRUNCATE df.instances")


def wire(body: str) -> str:
    return f"/*dfc:1:{len(body)}*/{body}"


BUILT = [
    (f"{a} ~> {b} ~> {c}", f'{{"chain":[{A},{B},{C}]}}'),
    (f"{a} ~> ({b} ~> {c})", f'{{"chain":[{A},{B},{C}]}}'),
    (f"({a} ~> {b}) ~> ({b} ~> {c})", f'{{"chain":[{A},{B},{B},{C}]}}'),
    (f"{a} & {b} & {c}", f'{{"join":[{{"join":[{A},{B}]}},{C}]}}'),
    (f"df.join3({a}, {b}, {c})", f'{{"join":[{A},{B},{C}]}}'),
    (f"df.join({a}, {b}, {c})", f'{{"join":[{A},{B},{C}]}}'),
    (f"{a} |=> {b} |=> {c}", f'{{"parallel":[{A},{B},{C}]}}'),
    (f"{a} |=> ({b} |=> {c})", f'{{"parallel":[{A},{{"parallel":[{B},{C}]}}]}}'),
    (f"df.parallel(VARIADIC ARRAY[{a}, {b}])", f'{{"parallel":[{A},{B}]}}'),
    (f"{a} |=> 'x' |=> {b}", f'{{"parallel":[{{"as":"x","body":{A}}},{B}]}}'),
    (f"{a} ~> {b} |=> 'größe'", f'{{"as":"größe","body":{{"chain":[{A},{B}]}}}}'),
    (f"df.as(fut => {a}, name => 'x')", f'{{"as":"x","body":{A}}}'),
    (f"df.step('s', {a}) ~> df.step('t', df.step('u', {b}))",
     f'{{"chain":[{{"step":"s","body":{A}}},{{"step":"t","body":{{"step":"u","body":{B}}}}}]}}'),
    (f"df.seq({a}, {b})", f'{{"chain":[{A},{B}]}}'),
    (f"df.seq({a}, df.seq({b}, {c}), {a})", f'{{"chain":[{A},{B},{C},{A}]}}'),
    (f"df.seq(VARIADIC ARRAY[{a}, {b}])", f'{{"chain":[{A},{B}]}}'),
    ("df.sql('CHECKPOINT')", '{"sql":"CHECKPOINT"}'),
    ("df.http('https://x', 'get')",
     '{"http":{"url":"https://x","method":"GET","body":null,"headers":null,"timeout_seconds":30}}'),
    ("""df.http('$u', headers => '{"b":"1","a":"2"}', body => '"', timeout_seconds => 5)""",
     '{"http":{"url":"$u","method":"POST","body":"\\"","headers":{"a": "2", "b": "1"},"timeout_seconds":5}}'),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "body"), BUILT)
def test_built(session: Connection, expression: str, body: str) -> None:
    assert value(session, f"SELECT {expression}") == wire(body)


def test_characters(session: Connection) -> None:
    for text in ("tab\t nl\n cr\r \x01\x1f\x7f \\ \" / ' é 漢 😀 \b\f", "x -- */ /*", "$$x$$"):
        body = '{"sql":' + json.dumps(text, ensure_ascii=False) + "}"
        assert value(session, "SELECT df.seq(%s::text)", text) == wire(body)
        assert value(session, "SELECT %s::text ~> %s::text", text, text) == wire(
            f'{{"chain":[{body},{body}]}}'
        )


REFUSED = [
    (f"{a} ~> 'word'", "DF112"),
    ("'word' |=> 'x'", "DF112"),
    (f"{a} ~> ''", "DF116"),
    (f"E' \\t\\n' & {a}", "DF116"),
    (f"{a} ~> NULL", "DF116"),
    (f"NULL::text & {a}", "DF116"),
    (f"df.join({a}, NULL, {b})", "DF116"),
    ("df.seq(VARIADIC '{}'::text[])", "DF116"),
    ("df.seq(VARIADIC NULL::text[])", "DF116"),
    ("df.sql(NULL)", "DF116"),
    (f"df.step('a b', {a})", "DF113"),
    (f"df.step('a/b', {a})", "DF113"),
    (f"df.step('', {a})", "DF113"),
    (f"df.step(NULL, {a})", "DF113"),
    (f"df.step('input', {a})", "DF113"),
    (f"df.as({a}, '1x')", "DF113"),
    (f"df.step(repeat('a', 64), {a})", "DF113"),
    (f"df.seq({a} ~> {b} || ' x', {c})", "DF115"),
    (f"df.step('s', 'SELECT ' || df.sql({a}))", "DF115"),
    (f"df.step('s', left(df.sql({a}), -1))", "DF115"),
    ("df.step('s', '/*dfc:1:9999999999*/{}')", "DF115"),
    ("df.step('s', '/*dfc:1:-1*/{}')", "DF115"),
    ("df.step('s', '/*dfc:1:')", "DF115"),
    ("df.http(NULL)", "DF114"),
    ("df.http('')", "DF114"),
    ("df.http('ftp://x')", "DF114"),
    ("df.http('http://x', 'BREW')", "DF114"),
    ("df.http('http://x', NULL)", "DF114"),
    ("df.http('http://x', timeout_seconds => 0)", "DF114"),
    ("df.http('http://x', headers => '[]')", "DF114"),
    ("""df.http('http://x', headers => '{"a": 1}')""", "DF114"),
    (f"df.parallel(ARRAY[{a}, {b}])", "42883"),
    (f"df.seq({a}, VARIADIC ARRAY[{b}])", "42883"),
    (f"{a} | {b}", "0A000"),
    (f"{a} ?> {b}", "0A000"),
    (f"{a} !> {b}", "0A000"),
    (f"@> {a}", "0A000"),
    (f"df.loop({a})", "0A000"),
    (f"df.if({a}, {b})", "0A000"),
    ("df.sleep(5)", "0A000"),
    ("df.sleep('1 hour')", "0A000"),
    ("df.break()", "0A000"),
    ("df.map('SELECT 1', 'SELECT 2', max_parallel => 3)", "0A000"),
    ("df.setvar('a', 'b')", "0A000"),
]


@pytest.mark.parametrize(("expression", "code"), REFUSED)
def test_refused(session: Connection, expression: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT {expression}".encode())
    assert caught.value.sqlstate == code
    assert caught.value.diag.message_hint


def test_a_thousand_operators(session: Connection) -> None:
    for operator, key in (("~>", "chain"), ("|=>", "parallel"), ("&", "join")):
        text = value(session, "SELECT " + f" {operator} ".join([a] * 1001))
        assert isinstance(text, str)
        body = text.partition("*/")[2]
        assert text == wire(body)
        assert body.startswith(f'{{"{key}":[') and body.count(A) == 1001


def test_operator_resolution_does_not_depend_on_literals(session: Connection) -> None:
    assert value(session, "SELECT 'SELECT 1'::varchar ~> 'SELECT 2'::name") == wire(f'{{"chain":[{A},{B}]}}')


STARTS_REFUSED = [
    (f"df.step('s', {a}) ~> df.step('s', {b})", "DF105"),
    (f"df.step('s', df.step('s', {a}))", "DF105"),
    (" & ".join([a] * 300), "DF511"),
    ("'word'", "DF112"),
    (f"{a} ~> {b} || ' x'", "DF115"),
    ("NULL", "DF116"),
    ("""'/*dfc:1:13*/{"frob":[1]}'||' '""", "DF115"),
    ("'/*dfc:1:12*/{\"frob\":[1]}'", "DF115"),
    ("'/*dfc:1:4*/nope'", "DF115"),
    ("'/*dfc:1:11*/{\"chain\":1}'", "DF115"),
]


@pytest.mark.parametrize(("expression", "code"), STARTS_REFUSED)
def test_start_refuses(session: Connection, expression: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT df.start({expression})".encode())
    assert caught.value.sqlstate == code
    assert caught.value.diag.message_hint
    assert value(session, "SELECT count(*) FROM df.instances") == 0


def test_nesting_up_to_the_limit(session: Connection) -> None:
    value(session, "SELECT df.start(" + " & ".join([a] * 256) + ")")
    assert refusal(session, "SELECT df.start(" + " & ".join([a] * 257) + ")") == "DF511"
