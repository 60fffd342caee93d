"""Durations are what PostgreSQL's `interval` input makes of the same text."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfc.compiler.durations import (
    DurationFault,
    duration_of_seconds,
    duration_of_text,
    duration_text,
    length,
)
from dfc.compiler.plan import Duration
from tests.depth import depth

Connection = psycopg.Connection[tuple[object, ...]]
relaxed = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=depth(500)
)


@pytest.fixture(scope="module")
def connection(shared_database: str) -> Iterator[Connection]:
    with psycopg.connect(shared_database, autocommit=True) as opened:
        yield opened


def theirs(connection: Connection, expression: str, text: str) -> Duration | None:
    """The interval in its three parts: `justify_*` have no part in it."""
    query = f"""
        SELECT extract(year FROM i) * 12 + extract(month FROM i), extract(day FROM i),
               extract(hour FROM i) * 3600000000 + extract(minute FROM i) * 60000000
               + extract(microsecond FROM i)
        FROM (SELECT {expression} AS i) AS v
    """
    try:
        row = connection.execute(query.encode(), (text,)).fetchone()
    except psycopg.Error:
        return None
    assert row is not None
    months, days, microseconds = row
    if not all(isinstance(part, Decimal) for part in row):
        return None
    return Duration(
        months=int(str(months)), days=int(str(days)), microseconds=int(Decimal(str(microseconds)))
    )


def ours(text: str) -> Duration | None:
    try:
        return duration_of_text(text)
    except DurationFault:
        return None


def is_odd(text: str) -> bool:
    """What PostgreSQL takes by accident: `PT`, and `1:30 1.5d`, where it forgets the fraction."""
    try:
        duration_of_text(text)
    except DurationFault as fault:
        return text == "PT" or "fraction behind" in str(fault)
    return False


WORDS = (
    "us usecs microsecond microseconds ms msec milliseconds s sec secs second seconds m min mins minutes h hr"
    " hrs hours d day days w week weeks mon mons month months y yr years dec decade decades c cent century"
    " centuries mil mils millennium millennia"
)
signs = st.sampled_from(["", "", "", "-", "+", "- "])
numbers = st.one_of(
    st.integers(0, 200).map(str),
    st.sampled_from(
        ["0", "1.5", "0.1", "2.", ".5", "0.000001", "0.0000005", "1.0000015", "12.345678", "99999"]
    ),
    st.from_regex(r"[0-9]{1,3}\.[0-9]{1,9}", fullmatch=True),
)


def texts(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


words = st.sampled_from([form for w in WORDS.split() for form in (w, w, w.upper(), w.title())])
gaps = st.sampled_from(["", " ", "  "])
counted = texts(signs, numbers, gaps, words).filter(lambda text: not text.startswith(("-.", "+.", "- .")))
clocks = texts(
    signs,
    st.from_regex(r"[0-9]{1,3}:[0-5][0-9](:[0-6][0-9](\.[0-9]{1,8})?)?", fullmatch=True)
    | st.sampled_from(["1:30", "0:60", "01:02.5", "1:2:3.", "24:00:00.0000005"]),
)
bare = texts(st.sampled_from(["", "-", "+"]), st.integers(0, 99).map(str))
years_months = texts(signs, st.from_regex(r"[0-9]{1,3}-[0-9]{1,2}", fullmatch=True))
fields = st.one_of(counted, counted, counted, clocks, bare, years_months)
separators = st.sampled_from([" ", " ", ", ", "\n", " \t"])
plain = texts(
    st.sampled_from(["", "", " ", "@ "]),
    separators.flatmap(lambda gap: st.lists(fields, min_size=1, max_size=5).map(gap.join)),
    st.sampled_from(["", "", "", " ago", " AGO "]),
)
iso_numbers = st.one_of(
    st.integers(-3, 40).map(str), st.sampled_from(["1.5", "0.25", "-0.5", "1e2", ".5", "2.", "1.0000001"])
)


def designated(letters: str) -> st.SearchStrategy[str]:
    return st.lists(texts(iso_numbers, st.sampled_from(list(letters))), max_size=3).map("".join)


iso = st.one_of(
    texts(st.just("P"), designated("YMWD"), st.just("T"), designated("HMS")),
    texts(st.just("P"), designated("YMWD")),
    st.from_regex(
        r"P[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?", fullmatch=True
    ),
    st.from_regex(r"P[0-9]{8}(T[0-9]{6})?", fullmatch=True),
    st.from_regex(r"P[0-9]{1,9}(T[0-9]{1,7})?", fullmatch=True),
)
SANE = plain | iso


@relaxed
@given(SANE)
def test_a_text_is_what_postgresql_makes_of_it(connection: Connection, text: str) -> None:
    expected = theirs(connection, "%s::interval", text)
    assert ours(text) == expected or is_odd(text), text


@relaxed
@given(
    st.text("0123456789.:-+ PTYMWDHSdhmsyago,@'\"/e\t", max_size=14)
    | plain.map(lambda text: text.replace(" ", ""))
)
def test_what_is_taken_is_what_postgresql_takes(connection: Connection, text: str) -> None:
    found = ours(text)
    if found is not None:
        assert found == theirs(connection, "%s::interval", text), text


@relaxed
@given(st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,10})?|-?[0-8][0-9]{12}", fullmatch=True))
def test_a_number_is_what_make_interval_makes_of_it(connection: Connection, digits: str) -> None:
    assert duration_of_seconds(digits) == theirs(connection, "make_interval(secs => %s::float8)", digits)


durations = st.builds(
    Duration,
    months=st.integers(-(2**31), 2**31 - 1) | st.integers(-20, 20),
    days=st.integers(-(2**31), 2**31 - 1) | st.integers(-20, 20),
    microseconds=st.integers(-(2**63), 2**63 - 1)
    | st.integers(-(10**7), 10**7)
    | st.integers(-99, 99).map(lambda n: n * 1_800_000_000),
)


@relaxed
@given(durations)
def test_what_is_printed_reads_back(connection: Connection, duration: Duration) -> None:
    text = duration_text(duration)
    assert duration_of_text(text) == duration == theirs(connection, "%s::interval", text)


@given(durations)
def test_the_length_has_the_order_of_postgresql(duration: Duration) -> None:
    assert length(duration) / 1e6 == pytest.approx(duration.seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1 hour 30 min", Duration(microseconds=5_400_000_000)),
        ("1:30:00", Duration(microseconds=5_400_000_000)),
        ("1 day 02:03", Duration(days=1, microseconds=7_380_000_000)),
        ("P1DT2H", Duration(days=1, microseconds=7_200_000_000)),
        ("1.5 months", Duration(months=1, days=15)),
        ("1h30m", Duration(microseconds=5_400_000_000)),
        ("90", Duration(microseconds=90_000_000)),
        ("2-3", Duration(months=27)),
    ],
)
def test_some_durations(text: str, duration: Duration) -> None:
    assert duration_of_text(text) == duration


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a duration"),
        ("soon", "not a duration"),
        ("5 parsecs", "`parsecs`"),
        ("infinity", "not a duration"),
        ("1 hour 2 hours", "twice"),
        ("hour", "not a duration"),
        ("1 hour day", "without a number"),
        ("1 quarter", "`quarter`"),
        ("1e400", "not a duration"),
        ("9999999999 days", "out of range"),
        ("99999999999999999999 s", "out of range"),
        ("1:75", "over 59"),
        ("P1X", "ISO 8601"),
        ("1 " * 200 + "s", "too long"),
    ],
)
def test_what_is_no_duration(text: str, message: str) -> None:
    with pytest.raises(DurationFault, match=message):
        duration_of_text(text)
