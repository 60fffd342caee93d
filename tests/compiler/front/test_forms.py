"""The forms of a tree: printed text and wire text read back to the same tree."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler import wire
from dfc.compiler.ast import Bind, Chain, Expression, FanOut, Join, Later, Sql, Step, Text
from dfc.compiler.json_text import quote_json
from dfc.compiler.parse import parse_expression
from dfc.compiler.printer import print_expression, quote
from dfc.compiler.source import Source
from dfc.grammar.lexer import STRINGS, scan
from tests.compiler.front.trees import hostile, trees


def parsed(text: str) -> Expression:
    result = parse_expression(Source("test", text))
    assert result.problems == ()
    assert result.tree is not None
    return result.tree


@given(trees)
def test_what_is_printed_parses_to_the_same_tree(tree: Expression) -> None:
    assert parsed(print_expression(tree)) == tree


@given(trees)
def test_what_is_written_is_read_as_the_same_tree(tree: Expression) -> None:
    assert wire.decode(wire.write(tree)) == tree


@given(trees)
def test_both_doors_write_the_same_text(tree: Expression) -> None:
    assert wire.write(parsed(print_expression(tree))) == wire.write(tree)


@given(hostile)
def test_a_quoted_text_is_one_literal(value: str) -> None:
    written = quote(value)
    [lexeme] = scan(written)
    assert lexeme.kind in STRINGS


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_strings_are_escaped_as_json_dumps_does(value: str) -> None:
    assert quote_json(value) == json.dumps(value, ensure_ascii=False)


def test_the_wire_text_is_the_one_of_the_contract() -> None:
    tree = parsed(
        "(df.step('a', $$SELECT 'x'$$)"
        ' ~> df.http(\'https://h\', body => \'é\', headers => \'{"bb":"1","a":"2"}\'))'
        " |=> 'r' ~> ('SELECT 1' & 'SELECT 2') ~> ('SELECT 3' |=> 'SELECT 4' |=> 'SELECT 5')"
    )
    body = (
        '{"chain":[{"as":"r","body":{"chain":[{"step":"a","body":{"sql":"SELECT \'x\'"}},'
        '{"http":{"url":"https://h","method":"POST","body":"é","headers":{"a": "2", "bb": "1"},'
        '"timeout_seconds":30}}'
        ']}},{"join":[{"sql":"SELECT 1"},{"sql":"SELECT 2"}]},'
        '{"parallel":[{"sql":"SELECT 3"},{"sql":"SELECT 4"},{"sql":"SELECT 5"}]}]}'
    )
    assert wire.write(tree) == f"/*dfc:1:{len(body)}*/{body}"


def marked(body: str) -> str:
    return f"/*dfc:1:{len(body)}*/{body}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1 /*dfc:1:2*/{}", "does not begin"),
        ('/*dfc:2:16*/{"sql":"SELECT"}', "version 2"),
        (marked('{"sql":"SELECT 1"}') + " x", "joined"),
        ("/*dfc:1:99*/{}", "joined"),
        ("/*dfc:1:x*/{}", "does not begin"),
        (marked("{}"), "not an object"),
        (marked("[]"), "not an object"),
        (marked("[" * 30_000), "nested"),
        (marked('{"sql":1}'), "shape"),
        (marked('{"sql":""}'), "empty"),
        (marked('{"sql":"\\ud800"}'), "cannot store"),
        (marked('{"sql":"\ud800"}'), "surrogate"),
        (marked('{"sql":"\\u0000"}'), "cannot store"),
        (marked('{"sql":"SELECT 1","sql":"SELECT 2"}'), "shape"),
        (marked('{"body":{"sql":"SELECT 1"},"step":"a"}'), "shape"),
        (marked('{"step":"a b","body":{"sql":"SELECT 1"}}'), "letters"),
        (marked('{"step":"input","body":{"sql":"SELECT 1"}}'), "reserved"),
        (marked('{"chain":[]}'), "too few"),
        (marked('{"join":[]}'), "too few"),
        (marked('{"chain":[{"chain":[{"sql":"a b"},{"sql":"a b"}]},{"sql":"a b"}]}'), "flat"),
        (marked('{"http":{"url":"x"}}'), "request"),
        (
            marked('{"http":{"url":"x","method":"GET","body":null,"headers":null,"timeout_seconds":1e99}}'),
            "request",
        ),
        (
            marked('{"http":{"url":"x","method":"GET","body":null,"headers":[1],"timeout_seconds":1}}'),
            "request",
        ),
        (marked('{"sql":"SELECT 1"}x'), "behind"),
        (marked('{"sql":NaN}'), "invalid JSON"),
    ],
)
def test_hostile_wire_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(wire.WireError, match=message):
        wire.decode(text)
    read = wire.read(text)
    assert read.tree is None
    assert len(read.problems) == 1


def test_deep_wire_text_is_read_printed_and_written_without_recursion() -> None:
    depth = 9_000
    body = '{"join":[' * depth + '{"sql":"SELECT 1"}' + "]}" * depth
    tree = wire.decode(marked(body))
    assert wire.write(tree) == marked(body)
    assert print_expression(tree).count("df.join(") == depth


def test_plain_text_is_a_step() -> None:
    assert wire.read("SELECT 1").tree == Sql(query=Text(value="SELECT 1"))
    assert [p.code for p in wire.read("nightly").problems] == ["DF112"]
    assert [p.code for p in wire.read(" \n").problems] == ["DF116"]


def test_a_later_construct_has_no_wire_text() -> None:
    with pytest.raises(ValueError, match="no wire form"):
        wire.write(Later(construct="df.sleep", children=()))


SQL = Sql(query=Text(value="SELECT 1"))
OTHER = Sql(query=Text(value="SELECT 2"))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("'SELECT 1' ~> ('SELECT 2' ~> 'SELECT 1') ~> 'SELECT 2'", Chain(items=(SQL, OTHER, SQL, OTHER))),
        ("df.seq('SELECT 1', 'SELECT 2' ~> 'SELECT 1')", Chain(items=(SQL, OTHER, SQL))),
        ("df.parallel(VARIADIC ARRAY['SELECT 1', 'SELECT 2'])", FanOut(branches=(SQL, OTHER))),
        ("df.seq(VARIADIC ARRAY['SELECT 1', 'SELECT 2']::text[])", Chain(items=(SQL, OTHER))),
        ("df.seq(b => 'SELECT 1', a => 'SELECT 2')", Chain(items=(OTHER, SQL))),
        ("df.seq('SELECT 1')", SQL),
        ("'SELECT 1' & 'SELECT 2' & 'SELECT 1'", Join(branches=(Join(branches=(SQL, OTHER)), SQL))),
        ("df.join3('SELECT 1', 'SELECT 2', 'SELECT 1')", Join(branches=(SQL, OTHER, SQL))),
        ("'SELECT 1' |=> 'SELECT 2' |=> 'SELECT 1'", FanOut(branches=(SQL, OTHER, SQL))),
        ("('SELECT 1' |=> 'SELECT 2') |=> 'SELECT 1'", FanOut(branches=(SQL, OTHER, SQL))),
        (
            "'SELECT 1' |=> ('SELECT 2' |=> 'SELECT 1')",
            FanOut(branches=(SQL, FanOut(branches=(OTHER, SQL)))),
        ),
        ("'SELECT 1' |=> 'x'", Bind(name=Text(value="x"), body=SQL)),
        ("'SELECT 1' |=> ('x')", Bind(name=Text(value="x"), body=SQL)),
        ("'SELECT 1' |=> ('x' || 'y')", Bind(name=Text(value="xy"), body=SQL)),
        ("df.as(name => 'x', fut => 'SELECT 1')", Bind(name=Text(value="x"), body=SQL)),
        ("'SELECT 1' |=> df.sql('x')", FanOut(branches=(SQL, Sql(query=Text(value="x"))))),
        ("'SELECT' || ' 1' ~> 'SELECT 2'", Chain(items=(SQL, OTHER))),
        ("'SELECT '\n'1'", SQL),
        ("'SELECT '\n-- why\n'1'", SQL),
        ("E'SELECT\\x20\\61'", SQL),
        ("U&'SELECT!00201' UESCAPE '!'", SQL),
        ("$q$SELECT 1$q$::text", SQL),
        ("CAST('SELECT 1' AS varchar)", SQL),
        ("text 'SELECT 1'", SQL),
        ('"df"."sql"(\'SELECT 1\')', SQL),
        ("DF.SQL(QUERY := 'SELECT 1')", SQL),
        ("'SELECT 1' OPERATOR(df.~>) 'SELECT 2'", Chain(items=(SQL, OTHER))),
        ("'SELECT 1' operator(&) 'SELECT 2'", Join(branches=(SQL, OTHER))),
        ("df.step('a', 'SELECT 1')", Step(name=Text(value="a"), body=SQL)),
    ],
)
def test_what_a_text_means(text: str, tree: Expression) -> None:
    assert parsed(text) == tree
