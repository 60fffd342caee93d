"""What df.start says about an expression without a parser: shapes, names, nesting."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.test_builders import STATEMENT, long, wire
from tests.sql.worker import Connection, connect, refusal, value

MAP = ',"name":"i","max_parallel":1,"batch_size":1,"on_error":"fail"}'


@pytest.fixture
def session(shared_database: str) -> Iterator[Connection]:
    with connect(shared_database) as connection:
        yield connection
        connection.execute("TRUNCATE df.instances")


def refused(session: Connection, expression: str, code: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(f"SELECT df.start({expression})".encode())
    assert caught.value.sqlstate == code
    assert caught.value.diag.message_hint
    assert value(session, "SELECT count(*) FROM df.instances") == 0


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("df.step('s', <a>) ~> df.step('s', <b>)", "DF105"),
        ("df.step('s', df.step('s', <a>))", "DF105"),
        ("'word'", "42704"),
        ("<a> ~> <b> || ' x'", "DF115"),
        ("NULL", "DF116"),
        ("""'/*dfc:1:13*/{"frob":[1]}'||' '""", "DF115"),
        ("'/*dfc:1:12*/{\"frob\":[1]}'", "DF115"),
        ("'/*dfc:1:4*/nope'", "DF115"),
        ("'/*dfc:1:11*/{\"chain\":1}'", "DF115"),
    ],
)
def test_start_refuses(session: Connection, expression: str, code: str) -> None:
    refused(session, long(expression), code)


@pytest.mark.parametrize(
    "body",
    [
        *('{"loop":1}', '{"loop":{}}', '{"if":<A>}', '{"then":<A>}', '{"if":<A>,"then":<A>,"while":<A>}'),
        *('{"race":[]}', '{"race":<A>}', '{"chain":[<A>]}', '{"chain":[<A>,1]}', '{"loop":<A>,"undo":<A>}'),
        *('{"join":[<A>],"on_failure":"wait"}', '{"race":[<A>],"on_failure":"cancel"}', '{"undo":<A>}'),
        *('{"loop":<A>,"compensate":<A>}', '{"retry":<A>}', '{"retry":<A>,"policy":3}', '{"timeout":<A>}'),
        *('{"timeout":<A>,"duration":3}', '{"try":<A>}', '{"try":<A>,"finally":<A>}', '{"compensate":<A>}'),
        *('{"break":1}', '{"break":<A>}', '{"map":<A>,"body":<A>}', '{"if_rows":1,"then":<A>}', "{}"),
        *('{"sql":"x","policy":[]}', '{"http":"x"}', '{"multipart":[]}', '{"as":"x","body":<A>,"policy":{}}'),
        *('{"step":1,"body":<A>}', '{"step":"x"}', "[<A>]", '"<a>"', '{"sql":"x","http":{}}', "1", "null"),
    ],
)
def test_what_no_function_makes(session: Connection, body: str) -> None:
    for shape in ("%s", '{"loop":%s}', '{"chain":[{"sql":"x"},%s]}'):
        text = wire(shape.replace("%s", long(body).replace("'", ""))).replace("'", "''")
        refused(session, f"'{text}'", "DF115")


@pytest.mark.parametrize(
    "shape",
    [
        *(
            '{"if":<S>,"then":<S>}',
            '{"if":<B>,"then":<S>,"else":<S>}',
            '{"loop":<S>,"while":<S>}',
            '{"race":[<S>,<S>]}',
        ),
        *('{"try":<S>,"catch":<B>,"finally":<S>}', '{"timeout":<S>,"duration":[0,0,1],"else":<S>}'),
        *(
            '{"compensate":<S>,"undo":<S>}',
            '{"atomic":{"chain":[<S>,{"retry":<S>,"policy":{"max_attempts":1}}]}}',
        ),
        '{"map":{"sql":"x"},"body":{"chain":[<S>,<S>]}' + MAP,
        '{"map":<S>,"body":<S>' + MAP,
        '{"parallel":[{"if_rows":"x","then":<S>},{"if_rows":"x","then":<B>,"else":<S>}]}',
    ],
)
def test_names_are_seen_everywhere(session: Connection, shape: str) -> None:
    step = '{"step":"s","body":{"sql":"x"}}'
    once = wire(long(shape.replace("<S>", step, 1).replace("<S>", "<A>")))
    assert value(session, "SELECT df._check_expression(%s)", once) == ""
    text = wire(long(shape.replace("<S>", step)))
    refused(session, f"'{text}'", "DF105")


@pytest.mark.parametrize(
    "shape",
    [
        *("@> (%s)", "df.if(<a>, <b>, %s)", "df.if(%s, <a>)", "df.if(<a>, %s)", "df.try(<a>, %s)"),
        *("df.try(<a>, <a>, %s)", "df.try(%s, <a>)", "df.map(<a>, %s)", "df.atomic(%s)", "df.retry(%s, 2)"),
        *("df.timeout(<a>, 1, %s)", "df.timeout(%s, 1)", "df.compensate(<a>, %s)", "df.compensate(%s, <a>)"),
        *("df.if_rows('x', %s)", "df.if_rows('x', <a>, %s)", "df.loop(<a>, %s)", "df.race(ARRAY[%s])"),
        *("df.step('s', %s)", "df.as(%s, 's')", "<a> ~> (%s)"),
    ],
)
def test_nesting_counts_every_shape(session: Connection, shape: str) -> None:
    deep = "(" + " & ".join([STATEMENT] * 255) + ")"
    value(session, f"SELECT df.start({long(shape).replace('%s', deep)})")
    deeper = "(" + " & ".join([STATEMENT] * 256) + ")"
    assert refusal(session, f"SELECT df.start({long(shape).replace('%s', deeper)})") == "DF511"


def test_nesting_up_to_the_limit(session: Connection) -> None:
    value(session, "SELECT df.start(" + " & ".join([STATEMENT] * 256) + ")")
    assert refusal(session, "SELECT df.start(" + " & ".join([STATEMENT] * 257) + ")") == "DF511"


def test_time_is_linear(session: Connection) -> None:
    def seconds(steps: int) -> float:
        body = ",".join(f'{{"step":"s{i}","body":{{"if":{{"sql":"x"}},"then":<A>}}}}' for i in range(steps))
        text = wire(long(f'{{"loop":{{"chain":[{body}]}}}}'))
        started = time.perf_counter()
        assert value(session, "SELECT df._check_expression(%s)", text) == ""
        return time.perf_counter() - started

    seconds(10)
    short = min(seconds(500) for _ in range(3))
    assert min(seconds(5000) for _ in range(2)) < 40 * short
