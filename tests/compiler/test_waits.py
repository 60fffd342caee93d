"""Both doors take the same schedules and moments; the statements that compute a wait do so in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from cronsim import CronSim
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfc.compiler.ast import Text
from dfc.compiler.cron import cron_fault
from dfc.compiler.moments import in_utc, moment_fault
from dfc.compiler.templates import input_statement, wait_statement
from tests.sql.worker import Connection, connect, value

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def connection(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as opened:
        yield opened


_numbers = st.integers(0, 62).map(str) | st.sampled_from(["00", "07", "100", "", "-1"])
_words = st.sampled_from(["jan", "Feb", "APR", "dec", "sun", "Mon", "SAT", "thu", "januar", "x", "L"])
_places = st.one_of(_numbers, _numbers, _words)
_items = st.one_of(
    st.just("*"),
    _places,
    st.builds("{}-{}".format, _places, _places),
    st.builds("{}/{}".format, st.just("*") | _places, _numbers),
    st.builds("{}-{}/{}".format, _places, _places, _numbers),
)
_fields = st.one_of(st.just("*"), st.lists(_items, min_size=1, max_size=3).map(",".join))


def _field(least: int, most: int, names: str = "") -> st.SearchStrategy[str]:
    """A field that is mostly sound."""
    number = st.integers(least, most).map(str)
    if names:
        number = number | st.sampled_from(names.split())
    ranges = st.tuples(st.integers(least, most), st.integers(least, most)).map(
        lambda pair: f"{min(pair)}-{max(pair)}"
    )
    step = st.integers(1, 70).map(lambda step: f"/{step}") | st.just("")
    item = st.builds("{}{}".format, st.just("*") | number | ranges, step)
    return st.lists(item, min_size=1, max_size=3).map(",".join)


_sound = st.tuples(
    _field(0, 59),
    _field(0, 23),
    st.sampled_from(["29", "30", "31", "30-31", "31/2", "*/31", "31,30"]) | _field(1, 31),
    st.sampled_from(["2", "feb", "apr", "4,6", "2,4-6/2"]) | _field(1, 12, "jan feb Jun DEC"),
    st.sampled_from(["*", "*/2", "1", "sun", "7"]) | _field(0, 7, "sun Mon FRI sat"),
).map(" ".join)
_crons = st.one_of(_sound, st.lists(_fields, min_size=4, max_size=6).map(" ".join))


@relaxed
@given(_crons)
def test_both_doors_take_the_same_cron_expressions(connection: Connection, cron: str) -> None:
    said = value(connection, "SELECT coalesce(df._cron_fault(%s), '')", cron)
    assert isinstance(said, str)
    assert said.replace("'", "`") == cron_fault(cron)


@relaxed
@given(_sound)
def test_what_is_taken_has_a_next_tick(cron: str) -> None:
    from datetime import UTC, datetime

    try:
        next(CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC)))
        ticks = True
    except Exception:
        ticks = False
    assert (cron_fault(cron) == "") is ticks


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-31 12:00+02",
        "2030-01-31 12:00:00.25 +05:30",
        "2030-01-31T12:00Z",
        "2030-01-31 24:00-0330",
        "2030-1-5 1:00:60+00",
        "0099-12-31 23:59:59.999999+00",
        "2030-01-31 12:00 UTC",
        "2024-02-29 00:00:00.1234567+00",
    ],
)
def test_a_moment_is_the_same_text_through_both_doors(connection: Connection, text: str) -> None:
    assert moment_fault(text) == ""
    wire = value(connection, "SELECT df.wait_until(%s::timestamptz)", text)
    assert isinstance(wire, str) and wire.endswith(f'{{"wait_until":"{in_utc(text)}"}}')


@pytest.mark.parametrize("text", ["2030-01-31 12:00", "2030-01-31", "tomorrow", "2030-01-31 12:00 CET", "x"])
def test_a_moment_that_depends_on_the_session_is_none_for_a_compiler(text: str) -> None:
    assert in_utc(text) is None


def _asked(connection: Connection, function: str, text: str, given: str) -> object:
    """What the statement of a wait gives, `$a` being `given`."""
    statement = wait_statement(function, Text(value=text)).value
    return value(connection, f"SELECT value::text FROM ({statement.replace('$a', given)}) AS s")


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("$a minutes", "5", 300),
        ("$a", "90", 90),
        ("$a", "1.5::numeric", 1.5),
        ("$a", "interval '1 day -1 hour'", 82800),
        ("$a", "'1 hour'::text", 3600),
        ("1 day $a", "'2 hours'::text", 93600),
    ],
)
def test_how_long_a_sleep_is(connection: Connection, text: str, given: str, expected: float) -> None:
    assert float(str(_asked(connection, "df._sleep_length", text, given))) == expected


@pytest.mark.parametrize(
    ("function", "text", "given", "state"),
    [
        ("df._sleep_length", "$a", "-1", "DF166"),
        ("df._sleep_length", "$a years", "101", "DF166"),
        ("df._sleep_length", "$a", "NULL::integer", "22004"),
        ("df._sleep_length", "$a apples", "5", "DF166"),
        ("df._sleep_length", "$a", "''::text", "DF166"),
        ("df._sleep_length", "$a years", "1e15::bigint", "DF166"),
        ("df._moment", "$a", "'soon'::text", "DF181"),
        ("df._moment", "$a-02-30", "2026", "DF181"),
        ("df._moment", "$a", "'infinity'::timestamptz", "DF181"),
        ("df._moment", "$a", "NULL::date", "22004"),
        ("df._instance_of", "$a", "''::text", "DF185"),
        ("df._instance_of", "$a", "NULL::text", "22004"),
    ],
)
def test_what_a_wait_cannot_be(
    connection: Connection, function: str, text: str, given: str, state: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        _asked(connection, function, text, given)
    assert caught.value.sqlstate == state
    assert caught.value.diag.message_detail and caught.value.diag.message_hint


def test_a_moment_of_a_date_is_its_beginning_in_the_time_zone_of_the_session(connection: Connection) -> None:
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    try:
        assert _asked(connection, "df._moment", "$a", "date '2030-01-31'") == "2030-01-31 00:00:00+09"
        assert _asked(connection, "df._moment", "$a 12:00", "date '2030-01-31'") == "2030-01-31 12:00:00+09"
    finally:
        connection.execute("RESET TimeZone")


def _input(connection: Connection, written: str, given: str) -> object:
    from dfc.compiler.span import NOWHERE

    statement = input_statement(written, NOWHERE, lambda name: name == "a")
    assert statement is not None
    return value(connection, f"SELECT value::text FROM ({statement.value.replace('$a', given)}) AS s")


@pytest.mark.parametrize(
    ("written", "given", "expected"),
    [
        ('{"n": "$a"}', "5", '{"n": 5}'),
        ('{"n": "$a", "b": "it is $a", "c": [true, "$a", null, {"d": "$x"}]}', "1.50", None),
        ('"$a"', "ARRAY['x', NULL]", '["x", null]'),
        ('["$a"]', "'q\"'::text", '["q\\""]'),
        ('["say $a"]', "'q\"'::text", '["say q\\""]'),
        ('{"$b": "$a"}', "NULL::text", '{"$b": null}'),
    ],
)
def test_the_input_of_a_call(connection: Connection, written: str, given: str, expected: str | None) -> None:
    wanted = expected or '{"b": "it is 1.50", "c": [true, 1.50, null, {"d": "$x"}], "n": 1.50}'
    assert _input(connection, written, given) == wanted
