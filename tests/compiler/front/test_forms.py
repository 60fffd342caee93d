"""The forms of a tree: printed text and wire text read back to the same tree."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfc.compiler import wire
from dfc.compiler.ast import (
    Atomic,
    Bind,
    Break,
    Chain,
    Compensate,
    Expression,
    FanOut,
    If,
    IfRows,
    Join,
    Loop,
    Map,
    Policies,
    Race,
    Ref,
    Retry,
    Sql,
    Step,
    Text,
    Timeout,
    Try,
)
from dfc.compiler.json_text import quote_json
from dfc.compiler.parse import parse_expression
from dfc.compiler.plan import Duration
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


@given(trees, trees, trees)
def test_chains_have_no_nesting(a: Expression, b: Expression, c: Expression) -> None:
    first, second, third = (f"({print_expression(each)})" for each in (a, b, c))
    left = parsed(f"({first} ~> {second}) ~> {third}")
    assert (
        left == parsed(f"{first} ~> ({second} ~> {third})") == parsed(f"df.seq({first}, {second}, {third})")
    )


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
        (marked('{"step":"","body":{"sql":"SELECT 1"}}'), "letters"),
        (marked('{"step":"item","body":{"sql":"SELECT 1"}}'), "reserved"),
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
        (marked('{"sql":"SELECT 1","policy":{}}'), "not an object"),
        (marked('{"sql":"SELECT 1","policy":{"jitter":true,"max_attempts":1}}'), "does not take"),
        (marked('{"sql":"SELECT 1","policy":{"retry_unsafe":true}}'), "does not take"),
        (marked('{"sql":"SELECT 1","policy":{"max_attempts":0}}'), "less than 1"),
        (marked('{"sql":"SELECT 1","policy":{"max_attempts":1.0}}'), "a number"),
        (marked('{"sql":"SELECT 1","policy":{"max_attempts":2147483648}}'), "a number"),
        (marked('{"sql":"SELECT 1","policy":{"max_attempts":"1"}}'), "`max_attempts`"),
        (marked('{"sql":"SELECT 1","policy":{"timeout":[0,0,0]}}'), "is zero"),
        (marked('{"sql":"SELECT 1","policy":{"timeout":[0,0]}}'), "duration"),
        (marked('{"sql":"SELECT 1","policy":{"timeout":[0,0,9223372036854775808]}}'), "a number"),
        (marked('{"sql":"SELECT 1","policy":{"backoff":[0,-1,0]}}'), "negative"),
        (marked('{"sql":"SELECT 1","policy":{"retry_on":["x"]}}'), "cannot hold"),
        (marked('{"sql":"SELECT 1","policy":{"retry_on":[1]}}'), "`retry_on`"),
        (marked('{"sql":"SELECT 1","policy":{"settings":{"a":null}}}'), "value of `a`"),
        (
            marked('{"sql":"SELECT 1","policy":{"settings":{"a":' + "[" * 9000 + "]" * 9000 + "}}}"),
            "settings",
        ),
        (marked('{"as":"x","body":{"sql":"SELECT 1"},"policy":{"max_attempts":1}}'), "does not take"),
        (marked('{"policy":{"max_attempts":1}}'), "shape"),
        (marked('{"retry":{"sql":"SELECT 1"}}'), "shape"),
        (marked('{"retry":{"sql":"SELECT 1"},"policy":{"jitter":true}}'), "shape"),
        (marked('{"break":1}'), "shape"),
        (marked('{"break":"/*dfc:1:2*/{}"}'), "shape"),
        (marked('{"race":[]}'), "too few"),
        (marked('{"race":[{"sql":"SELECT 1"}],"on_failure":"cancel"}'), "shape"),
        (marked('{"join":[{"sql":"SELECT 1"}],"on_failure":"wait"}'), "shape"),
        (marked('{"if":{"sql":"SELECT 1"}}'), "shape"),
        (marked('{"if":{"sql":"SELECT 1"},"else":{"sql":"SELECT 1"}}'), "shape"),
        (marked('{"if_rows":"input","then":{"sql":"SELECT 1"}}'), "reserved"),
        (marked('{"loop":{"sql":"SELECT 1"},"compensate":"none"}'), "shape"),
        (marked('{"loop":{"sql":"SELECT 1"},"compensate":"all","while":{"sql":"SELECT 1"}}'), "shape"),
        (
            marked(
                '{"map":{"join":[{"sql":"SELECT 1"}]},"body":{"sql":"SELECT 1"},"name":"item",'
                '"max_parallel":16,"batch_size":1,"on_error":"fail"}'
            ),
            "items",
        ),
        (
            marked(
                '{"map":{"sql":"SELECT 1"},"body":{"sql":"SELECT 1"},"name":"item","max_parallel":16,'
                '"batch_size":0,"on_error":"fail"}'
            ),
            "less than 1",
        ),
        (
            marked(
                '{"map":{"sql":"SELECT 1"},"body":{"sql":"SELECT 1"},"name":"item","max_parallel":16,'
                '"batch_size":1,"on_error":"fail","policy":{"on_error":"fail"}}'
            ),
            "shape",
        ),
        (marked('{"map":{"sql":"SELECT 1"},"body":{"sql":"SELECT 1"},"name":"item"}'), "shape"),
        (marked('{"timeout":{"sql":"SELECT 1"},"duration":[0,0,0]}'), "is zero"),
        (marked('{"try":{"sql":"SELECT 1"},"finally":{"sql":"SELECT 1"}}'), "shape"),
        (marked('{"compensate":{"sql":"SELECT 1"},"undo":null}'), "not an object"),
        (
            marked('{"multipart":{"url":"x","method":"POST","parts":[],"headers":null,"timeout_seconds":1}}'),
            "request",
        ),
        (marked('{"sql":NaN}'), "invalid JSON"),
    ],
)
def test_hostile_wire_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(wire.WireError, match=message):
        wire.decode(text)
    read = wire.read(text)
    assert read.tree is None
    assert len(read.problems) == 1


@pytest.mark.parametrize(
    ("before", "behind", "printed"),
    [
        ('{"join":[', "]}", "df.join("),
        ('{"race":[', "]}", "df.race("),
        ('{"if":{"sql":"SELECT 1"},"then":', "}", "?>"),
        ('{"loop":', "}", "@>"),
        ('{"atomic":', ',"policy":{"max_attempts":1}}', "df.atomic("),
        ('{"compensate":', ',"undo":{"sql":"SELECT 1"}}', "df.compensate("),
    ],
)
def test_deep_wire_text_is_read_printed_and_written_without_recursion(
    before: str, behind: str, printed: str
) -> None:
    depth = 9_000
    body = before * depth + '{"sql":"SELECT 1"}' + behind * depth
    tree = wire.decode(marked(body))
    assert wire.write(tree) == marked(body)
    assert print_expression(tree).count(printed) == depth


def test_plain_text_is_a_step() -> None:
    assert wire.read("SELECT 1").tree == Sql(query=Text(value="SELECT 1"))
    assert [p.code for p in wire.read("nightly").problems] == ["DF112"]
    assert [p.code for p in wire.read(" \n").problems] == ["DF116"]


def test_a_hole_in_a_part_that_may_be_left_out_is_a_problem_in_its_place() -> None:
    faulty = '{"try":{"sql":"SELECT 1"},"catch":{"sql":"SELECT 1"},"finally":{"x":1}}'
    read = wire.read(marked(f'{{"chain":[{faulty},{{"loop":{faulty},"while":{{"y":1}}}},{{"z":1}}]}}'))
    assert read.draft is not None
    text = print_expression(read.draft)
    found = parse_expression(Source("test", text)).problems
    assert [text[p.span.start : p.span.end] for p in found] == ["NULL"] * 4
    assert [fault.message[-1] for fault in read.faults] == ["x", "x", "y", "z"]


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
        ("df.seq(ARRAY['SELECT 1', 'SELECT 2'])", Chain(items=(SQL, OTHER))),
        ("df.seq(branches => '{SELECT 1,\"SELECT 2\"}')", Chain(items=(SQL, OTHER))),
        ("df.join(ARRAY['SELECT 1'], on_failure => 'cancel')", Join(branches=(SQL,), cancels=True)),
        ("df.join(ARRAY['SELECT 1', 'SELECT 2'], 'wait')", Join(branches=(SQL, OTHER))),
        ("df.parallel(branches => ARRAY['SELECT 1'], on_failure => NULL)", FanOut(branches=(SQL,))),
        (
            "df.parallel(ARRAY['SELECT 1'], 'cancel') |=> 'SELECT 2'",
            FanOut(branches=(FanOut(branches=(SQL,), cancels=True), OTHER)),
        ),
        ("'$x'", Ref(text=Text(value="$x"))),
        ("df.sql('$x.c?')", Ref(text=Text(value="$x.c?"))),
        ("'SELECT 1' | 'SELECT 2' | 'SELECT 1'", Race(arms=(Race(arms=(SQL, OTHER)), SQL))),
        ("df.race('SELECT 1', 'SELECT 2', 'SELECT 1')", Race(arms=(SQL, OTHER, SQL))),
        ("'SELECT 1' ?> 'SELECT 2'", If(condition=SQL, then=OTHER)),
        ("'SELECT 1' ?> 'SELECT 2' !> 'SELECT 1'", If(condition=SQL, then=OTHER, otherwise=SQL)),
        ("df.if('SELECT 1', 'SELECT 2') !> 'SELECT 1'", If(condition=SQL, then=OTHER, otherwise=SQL)),
        ("df.if('SELECT 1', 'SELECT 2', NULL)", If(condition=SQL, then=OTHER)),
        (
            "df.if_rows('r', 'SELECT 1', 'SELECT 2')",
            IfRows(name=Text(value="r"), then=SQL, otherwise=OTHER),
        ),
        ("@> 'SELECT 1' ~> 'SELECT 2'", Chain(items=(Loop(body=SQL), OTHER))),
        ("@> @> 'SELECT 1'", Loop(body=Loop(body=SQL))),
        (
            "df.loop('SELECT 1', 'SELECT 2', compensate => 'all')",
            Loop(body=SQL, condition=OTHER, keep_undos=True),
        ),
        ("df.break()", Break()),
        ("df.break(NULL)", Break()),
        ("df.break('')", Break(value=Text(value=""))),
        ("df.break(-1.50)", Break(value=Text(value="-1.50"))),
        ("df.break(true)", Break(value=Text(value="true"))),
        ('df.break(jsonb \'{"bb":1,"a":2}\')', Break(value=Text(value='{"a": 2, "bb": 1}'))),
        ("df.break('{ }'::json)", Break(value=Text(value="{ }"))),
        (
            "df.map('SELECT 1', '$item')",
            Map(items=SQL, body=Ref(text=Text(value="$item")), name=Text(value="item")),
        ),
        (
            "df.map('$r', 'SELECT 1', 'row', 4, batch_size => 10, on_error => 'continue')",
            Map(
                items=Ref(text=Text(value="$r")),
                body=SQL,
                name=Text(value="row"),
                max_parallel=4,
                batch_size=10,
                on_error="continue",
            ),
        ),
        ("df.atomic('SELECT 1')", Atomic(body=SQL)),
        ("df.retry('SELECT 1', 3)", Retry(body=SQL, policies=Policies(given=(("max_attempts", 3),)))),
        (
            "df.timeout('SELECT 1', 1.5, 'SELECT 2')",
            Timeout(body=SQL, duration=Duration(microseconds=1_500_000), otherwise=OTHER),
        ),
        ("df.try('SELECT 1', 'SELECT 2')", Try(body=SQL, catch=OTHER)),
        (
            "df.try(finally => 'SELECT 1', catch => 'SELECT 2', body => 'SELECT 1')",
            Try(body=SQL, catch=OTHER, final=SQL),
        ),
        ("df.compensate('SELECT 1', 'SELECT 2')", Compensate(body=SQL, undo=OTHER)),
        ("df.compensate(undo => 'SELECT 2', \"do\" => 'SELECT 1')", Compensate(body=SQL, undo=OTHER)),
    ],
)
def test_what_a_text_means(text: str, tree: Expression) -> None:
    assert parsed(text) == tree
