"""Policies and other options of calls: what they become, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given

from dfc.compiler import wire
from dfc.compiler.ast import Chain, Expression, Hole, Http, Policies, PolicyValue, Sql, Step, Text
from dfc.compiler.diagnostics import Diagnostic
from dfc.compiler.parse import parse_expression
from dfc.compiler.plan import Duration
from dfc.compiler.printer import print_expression
from dfc.compiler.signatures import POLICY_NAMES
from dfc.compiler.source import Source
from tests.compiler.front.trees import POLICIES, policies

SECOND = 1_000_000


def parsed(text: str) -> Expression:
    result = parse_expression(Source("test", text))
    assert result.problems == ()
    assert result.tree is not None
    return result.tree


def found(text: str) -> tuple[tuple[str, PolicyValue], ...]:
    """The policies of `df.sql` with these arguments."""
    tree = parsed(f"df.sql('SELECT 1', {text})")
    assert isinstance(tree, Sql)
    return tree.policies.given


def problems(text: str) -> list[Diagnostic]:
    return list(parse_expression(Source("test", text)).problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("timeout => 5", Duration(microseconds=5 * SECOND)),
        ("timeout => 0.25", Duration(microseconds=SECOND // 4)),
        ("timeout => '1 day 02:00'", Duration(days=1, microseconds=7200 * SECOND)),
        ("timeout => interval '2 months'", Duration(months=2)),
        ("timeout => CAST('PT5M' AS interval)", Duration(microseconds=300 * SECOND)),
        ("timeout => '5 s'::interval::interval", Duration(microseconds=5 * SECOND)),
        ("timeout => '5'", Duration(microseconds=5 * SECOND)),
        ("max_attempts => '3'", 3),
        ("jitter => 'off'", False),
        ("autocommit := TRUE", True),
        ("retry_on => ARRAY['40001', '40', '503', '5xx', 'all']", ("40001", "40", "503", "5xx", "all")),
        ("retry_on => '{40001, \"40\", timeout }'", ("40001", "40", "timeout")),
        ("retry_on => ARRAY[]::text[]", ()),
        ("no_retry_on => '{}'", ()),
        ('settings => \'{"work_mem": "1GB", "a.b": 1.50}\'', '{"a.b": 1.50, "work_mem": "1GB"}'),
        ("settings => jsonb_build_object('work_mem', 5)", '{"work_mem": 5}'),
        ("database => 'other'", "other"),
        ("rate_limit => '100/minute'", "100/minute"),
    ],
)
def test_what_a_policy_is(text: str, expected: PolicyValue) -> None:
    assert [value for _, value in found(text)] == [expected]


def test_policies_have_the_order_of_the_wire_text() -> None:
    assert [name for name, _ in found("timeout => 5, jitter => true, max_attempts => 2, backoff => 0")] == [
        "max_attempts",
        "backoff",
        "jitter",
        "timeout",
    ]
    assert tuple(POLICIES) == tuple(name for name in POLICY_NAMES if name != "database")


def test_null_is_not_given() -> None:
    tree = parsed("df.sql('SELECT 1', max_attempts => NULL, timeout => NULL::interval)")
    assert tree == Sql(query=Text(value="SELECT 1"))


def test_policies_know_where_they_stand() -> None:
    text = "df.sql('SELECT 1', timeout => 5, max_attempts => 3)"
    tree = parsed(text)
    assert isinstance(tree, Sql)
    where = tree.policies.span
    assert text[where.start : where.end] == "timeout => 5, max_attempts => 3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("backoff => 2, timeout => '10'", [2, 10]),
        ("backoff => 2.0, timeout => '10.5'", [2, 10.5]),
        ("backoff => '2 s', timeout => '10'", [2, 10]),
        ("backoff => interval '2 s', timeout => '00:00:10'", [2, 10]),
        ("backoff => '2 s'::text, timeout => '10 s'", [2, 10]),
    ],
)
def test_durations_of_one_call_are_of_one_type(text: str, expected: list[float]) -> None:
    durations = [value for _, value in found(text)]
    assert [value.seconds for value in durations if isinstance(value, Duration)] == expected


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("df.sql('a b', timeout => 'soon')", "DF166", "'soon'"),
        ("df.sql('a b', timeout => '5 parsecs')", "DF166", "'5 parsecs'"),
        ("df.sql('a b', timeout => 0)", "DF166", "0"),
        ("df.sql('a b', timeout => '1 day -24 hours')", "DF166", "'1 day -24 hours'"),
        ("df.sql('a b', backoff => -1)", "DF166", "-1"),
        ("df.sql('a b', timeout => 1e13)", "DF166", "1e13"),
        ("df.timeout('a b', interval '-1 s')", "DF166", "interval '-1 s'"),
        ("df.sql('a b', backoff => 2, timeout => '1 min')", "DF167", "'1 min'"),
        ("df.sql('a b', backoff => 2, timeout => '1.5')", "DF167", "'1.5'"),
        ("df.sql('a b', backoff => '2'::text, timeout => 5)", "DF167", "'2'::text"),
        ("df.sql('a b', backoff => interval '2 s', timeout => 5)", "DF167", "interval '2 s'"),
        ("df.sql('a b', backoff => interval '2 s', timeout => '5'::text)", "DF167", "'5'::text"),
        ("df.sql('a b', max_attempts => 0)", "DF168", "0"),
        ("df.retry('a b', -1)", "DF168", "-1"),
        ("df.map('a b', 'a b', batch_size => 0)", "DF168", "0"),
        ("df.map('a b', 'a b', on_error => 'ignore')", "DF169", "'ignore'"),
        ("df.sql('a b', on_error => 'Fail')", "DF169", "'Fail'"),
        ("df.sql('a b', delivery => 'exactly_once')", "DF169", "'exactly_once'"),
        ("df.sql('a b', isolation => 'snapshot')", "DF169", "'snapshot'"),
        ("df.join(ARRAY['a b'], on_failure => 'stop')", "DF169", "'stop'"),
        ("df.loop('a b', compensate => 'last')", "DF169", "'last'"),
        ("df.sql('a b', retry_on => ARRAY['40001', '4'])", "DF170", "'4'"),
        ("df.sql('a b', retry_on => '{6xx}')", "DF170", "'{6xx}'"),
        ("df.sql('a b', rate_limit => '0/second')", "DF171", "'0/second'"),
        ("df.sql('a b', settings => '[1]')", "DF172", "'[1]'"),
        ("df.sql('a b', settings => '{\"a\": [1]}')", "DF172", "'{\"a\": [1]}'"),
        ("df.break('a b' ~> 'c d')", "DF173", "'a b' ~> 'c d'"),
        ("df.break(ARRAY['a'])", "DF173", "ARRAY['a']"),
        ("df.break(interval '1 day')", "DF165", "interval '1 day'"),
        ("df.break('/*dfc:1:2*/{}')", "DF115", "'/*dfc:1:2*/{}'"),
        ("df.map('a b' & 'c d', 'a b')", "DF174", "'a b' & 'c d'"),
        ("df.map(df.sql('a b', jitter => true), 'a b')", "DF174", "df.sql('a b', jitter => true)"),
        ("df.sql('$x', jitter => true)", "DF175", "'$x'"),
        ("df.sql('a b', max_attempts => 1.5)", "DF159", "1.5"),
        ("df.sql('a b', timeout => true)", "DF159", "true"),
        ("df.sql('a b', retry_on => ARRAY[40001])", "DF159", "40001"),
        ("df.sql('a b', retry_on => ARRAY['40', NULL])", "DF159", "NULL"),
        ("df.sql('a b', retry_on => ARRAY[])", "DF159", "ARRAY[]"),
        ("df.sql('a b', retry_on => '40')", "DF159", "'40'"),
        ("df.sql('a b', retry_on => '{a,{b}}')", "DF165", "'{a,{b}}'"),
        ("df.atomic('a b', retry_unsafe => true)", "DF160", "retry_unsafe => true"),
        ("df.map('a b', 'a b', timeout => 5)", "DF160", "timeout => 5"),
        ("df.http('http://h', autocommit => true)", "DF160", "autocommit => true"),
        ("df.retry('a b')", "DF162", "df.retry('a b')"),
        ("df.retry('a b', NULL)", "DF116", "NULL"),
        ("df.http_multipart('http://h')", "DF162", "df.http_multipart('http://h')"),
        ('df.http_multipart(\'http://h\', \'GET\', \'[{"name": "a", "data_b64": ""}]\')', "DF114", "'GET'"),
        ("df.http_multipart('http://h', parts => '{}')", "DF114", "'{}'"),
        ("df.http_multipart('http://h', parts => '[{\"name\": \"a\"}]')", "DF114", '\'[{"name": "a"}]\''),
    ],
)
def test_what_is_refused(text: str, code: str, place: str) -> None:
    reported = problems(text)
    assert [(p.code, text[p.span.start : p.span.end]) for p in reported] == [(code, place)]
    assert all(problem.help for problem in reported)


def test_all_that_is_wrong_is_reported_and_the_rest_counts() -> None:
    text = "df.step('a', df.sql('', on_error => 'x'), max_attempts => 0, timeout => 'y', jitter => true)"
    result = parse_expression(Source("test", text))
    assert [problem.code for problem in result.problems] == ["DF116", "DF169", "DF168", "DF166"]
    assert result.draft == Step(
        name=Text(value="a"), body=Hole(), policies=Policies(given=(("jitter", True),))
    )


def test_a_request_with_parts() -> None:
    text = """df.http_multipart('http://h', 'put', '[{"data_b64": "aGk=", "name": "f"}]', timeout => 5)"""
    tree = parsed(text)
    assert isinstance(tree, Http)
    assert (tree.method, tree.parts) == ("PUT", '[{"name": "f", "data_b64": "aGk="}]')
    body = (
        '{"multipart":{"url":"http://h","method":"PUT","parts":[{"name": "f", "data_b64": "aGk="}],'
        '"headers":null,"timeout_seconds":30},"policy":{"timeout":[0,0,5000000]}}'
    )
    assert wire.write(tree) == f"/*dfc:1:{len(body)}*/{body}"


def test_another_database_is_kept() -> None:
    tree = Sql(query=Text(value="a b"), policies=Policies(given=(("database", "it's"),)))
    assert parsed(print_expression(tree)) == wire.decode(wire.write(tree)) == tree


@given(policies("sql", often=True))
def test_policies_are_read_as_they_are_printed(given: Policies) -> None:
    tree = Chain(items=(Sql(query=Text(value="a b"), policies=given), Sql(query=Text(value="c d"))))
    assert parsed(print_expression(tree)) == tree
