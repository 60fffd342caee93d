"""The wire text that functions and operators build, and what they refuse (built.txt, refused.txt)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.sql.worker import Connection, connect, refusal, value

SHORT = {
    "<a>": "'SELECT 1'",
    "<b>": "'SELECT 2'",
    "<c>": "'SELECT 3'",
    "<A>": '{"sql":"SELECT 1"}',
    "<B>": '{"sql":"SELECT 2"}',
    "<C>": '{"sql":"SELECT 3"}',
}
STATEMENT = SHORT["<a>"]


def long(text: str) -> str:
    for key, meant in SHORT.items():
        text = text.replace(key, meant)
    return text


def cases(name: str) -> list[tuple[str, str]]:
    """Blocks: an expression in the first line, what comes of it in the others."""
    text = (Path(__file__).parent / name).read_text()
    blocks = [block for block in text.split("\n\n") if block.strip() and not block.startswith("#")]
    parted = [block.strip("\n").partition("\n") for block in blocks]
    return [(long(first), "\n".join(line[4:] for line in rest.split("\n"))) for first, _, rest in parted]


@pytest.fixture
def session(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection
        connection.execute("TRUNCATE df.instances")


def wire(body: str) -> str:
    return f"/*dfc:1:{len(body)}*/{body}"


@pytest.mark.parametrize(("expression", "body"), cases("built.txt"))
def test_built(session: Connection, expression: str, body: str) -> None:
    body = long(body).replace("<database>", session.info.dbname)
    assert value(session, f"SELECT {expression}") == wire(body)
    # What functions make, df.start takes.
    assert value(session, "SELECT df._check_expression(%s)", wire(body)) == ""


@pytest.mark.parametrize(("expression", "said"), cases("refused.txt"))
def test_refused(session: Connection, expression: str, said: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT {expression}".encode())
    found = caught.value.diag
    lines = [f"{found.sqlstate}: {found.message_primary}"]
    lines += [f"detail: {found.message_detail}"] if found.message_detail else []
    lines += [f"hint: {found.message_hint}"]
    assert "\n".join(lines) == said
    assert found.message_hint and (found.message_detail or found.sqlstate == "42883")


DURATIONS = [
    ("'90 s'", "[0,0,90000000]"),
    ("'30'", "[0,0,30000000]"),
    ("'1 year 2 mons 3 days 4:05:06.789'", "[14,3,14706789000]"),
    ("'P1M1DT1.5S'", "[1,1,1500000]"),
    ("'1.5 days'", "[0,1,43200000000]"),
    ("'36 hours'", "[0,0,129600000000]"),
    ("'1 day -1 hour'", "[0,1,-3600000000]"),
    ("'2 hours ago'::interval * -1", "[0,0,7200000000]"),
    ("interval '1 month'", "[1,0,0]"),
    ("90", "[0,0,90000000]"),
    ("0.5", "[0,0,500000]"),
    ("1e-6", "[0,0,1]"),
    ("0.0000025", "[0,0,2]"),
    ("100000::bigint", "[0,0,100000000000]"),
    ("1.25::real", "[0,0,1250000]"),
]


@pytest.mark.parametrize(("length", "written"), DURATIONS)
@pytest.mark.parametrize("style", ["postgres", "sql_standard"])
def test_durations(session: Connection, style: str, length: str, written: str) -> None:
    with session.transaction():
        session.execute(f"SET LOCAL IntervalStyle = {style}".encode())
        body = f'{{"timeout":{SHORT["<A>"]},"duration":{written}}}'
        assert value(session, f"SELECT df.timeout({STATEMENT}, {length})") == wire(body)


def test_durations_in_one_call_are_of_one_kind(session: Connection) -> None:
    query = f"SELECT df.sql({STATEMENT}, backoff => 2, timeout => {{}})"
    assert refusal(session, query.format("'1 min'")) == "22P02"
    assert refusal(session, query.format("interval '1 min'")) == "42883"
    assert value(session, query.format("60.5"))


def test_no_function_is_strict(session: Connection) -> None:
    query = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'df'::regnamespace AND proisstrict"
    assert value(session, query) == 0


def test_characters(session: Connection) -> None:
    for text in ("tab\t nl\n cr\r \x01\x1f\x7f \\ \" / ' é 漢 😀 \b\f", "x -- */ /*", "$$x$$"):
        body = '{"sql":' + json.dumps(text, ensure_ascii=False) + "}"
        assert value(session, "SELECT df.seq(%s::text)", text) == wire(body)
        assert value(session, "SELECT %s::text ~> %s::text", text, text) == wire(
            f'{{"chain":[{body},{body}]}}'
        )


def test_a_thousand_operators(session: Connection) -> None:
    groups = (("~>", "chain"), ("|=>", "parallel"), ("&", "join"), ("|", "race"))
    for operator, key in groups:
        text = value(session, "SELECT " + f" {operator} ".join([STATEMENT] * 1001))
        assert isinstance(text, str)
        body = text.partition("*/")[2]
        assert text == wire(body)
        assert body.startswith(f'{{"{key}":[') and body.count(SHORT["<A>"]) == 1001


def test_operator_resolution_does_not_depend_on_literals(session: Connection) -> None:
    body = long('{"chain":[<A>,<B>]}')
    assert value(session, "SELECT 'SELECT 1'::varchar ~> 'SELECT 2'::name") == wire(body)


@pytest.mark.parametrize(("operator", "function"), [("~>", "seq"), ("|=>", "parallel")])
def test_so_many_operators_one_expression_may_have(session: Connection, operator: str, function: str) -> None:
    def expression(operators: int) -> str:
        return f" {operator} ".join(["'SELECT 1'"] * (operators + 1))

    flat = f"df.{function}(VARIADIC array_fill('SELECT 1'::text, ARRAY[3001]))"
    assert value(session, f"SELECT {expression(3000)}") == value(session, f"SELECT {flat}")
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT {expression(3300)}".encode())
    found = caught.value.diag
    assert (found.sqlstate, found.message_primary) == (
        "DF514",
        "one SQL expression has 3300 operators, and the limit is 3000",
    )
    assert found.message_hint and "VARIADIC" in found.message_hint and found.message_detail
    # Elements that no operator has joined do not count.
    longer = flat.replace("3001", "9000")
    session.execute(f"SELECT {longer} {operator} df.sql('SELECT 1') {operator} 'SELECT 2'".encode())
