"""Workflows with a name: versions, inputs, what happens on failure, children."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.postgres import Server
from tests.sql.worker import Connection, claim, connect, refusal, register, value


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def define(connection: Connection, arguments: str, name: str = "nightly") -> str:
    return str(value(connection, f"SELECT df.define('{name}', {arguments})"))


def finish(connection: Connection, token: bytes, instance: str, status: str) -> None:
    how = f'{{"status": "{status}", "error": {{"message": "broken", "sqlstate": "P0001"}}}}'
    connection.execute("SELECT df._finish(%s, %s, %s)", [token, instance, how])


def said_by(call: Callable[[], object]) -> tuple[str | None, str | None, str | None, str | None]:
    with pytest.raises(psycopg.Error) as caught:
        call()
    said = caught.value.diag
    return said.sqlstate, said.message_primary, said.message_detail, said.message_hint


def test_versions_go_by_content(session: Connection) -> None:
    assert define(session, "'SELECT 1' ~> 'SELECT 2'") == "nightly version 1"
    assert define(session, "'SELECT 1' ~> 'SELECT 2'") == "nightly version 1"
    first = value(session, "SELECT df.start('nightly')")
    assert define(session, "'SELECT 3'") == "nightly version 2"
    assert define(session, "'SELECT 3'", "other") == "other version 1"
    assert define(session, "'SELECT 3'", "Nightly") == "Nightly version 1"
    value(session, "SELECT df.start('nightly', label => 'mine')")
    # Back to what it was: the old number, and only then a new row.
    assert define(session, "'SELECT 1' ~> 'SELECT 2'") == "nightly version 1"
    value(session, "SELECT df.start('nightly')")
    assert define(session, "'SELECT 3', queue => 'q'") == "nightly version 3"
    rows = "SELECT definition, definition_version, label FROM df.instances ORDER BY id"
    assert session.execute(rows.encode()).fetchall() == [
        ("nightly", 1, "nightly"), ("nightly", 2, "mine"), ("nightly", 1, "nightly")
    ]  # fmt: skip
    assert value(session, "SELECT expression LIKE '%%SELECT 2%%' FROM df.instances WHERE id = %s", first)
    assert value(session, "SELECT count(*) FROM df.definitions WHERE name = 'nightly'") == 4


def test_a_hash_stays_what_it_was_before_definitions_said_how_long_to_keep(session: Connection) -> None:
    """It was made of eight values. An upgrade gives no definition another version."""
    define(session, "'SELECT 1', queue => 'q', priority => 5, timeout => '1 min', concurrency_key => 'k'")
    define(session, "'SELECT 1'", "plain")
    eight = """SELECT bool_and(content_hash = sha256(convert_to(jsonb_build_array(expression, params, on_failure,
        queue, priority, df._duration(timeout, 'timeout', false), concurrency_key, concurrency_limit)::text, 'UTF8')))
        FROM df.definitions"""
    assert value(session, eight) is True
    assert define(session, "'SELECT 1', keep_finished => '1 day'", "plain") == "plain version 2"
    assert define(session, "'SELECT 1', keep_finished => NULL", "plain") == "plain version 1"


def test_what_a_definition_says_about_its_instances(session: Connection) -> None:
    define(session, "'SELECT 1', queue => 'q', priority => 5, timeout => '1 min', concurrency_limit => 2")
    value(session, "SELECT df.start('nightly')")
    value(
        session,
        "SELECT df.start('nightly', queue => 'r', priority => 0, timeout => 1, concurrency_key => 'k')",
    )
    rows = (
        "SELECT queue, priority, extract(epoch FROM timeout)::int, concurrency_key, concurrency_limit"
        " FROM df.instances ORDER BY id"
    )
    assert session.execute(rows.encode()).fetchall() == [("q", 5, 60, "nightly", 2), ("r", 0, 1, "k", 1)]


def test_a_name_that_is_not_there(session: Connection) -> None:
    assert refusal(session, "SELECT df.start('nightly')") == "42704"
    define(session, "'SELECT 1'")
    define(session, "'SELECT 1'", "ingest")
    start = "SELECT df.start('{}')".format
    said = said_by(lambda: session.execute(start("nihgtly").encode()))
    assert said[0] == "42704" and said[1] == 'there is no workflow named "nihgtly"'
    assert said[3] == "Did you mean 'nightly'?"
    assert said_by(lambda: session.execute(start("cleanup").encode()))[3] == (
        "There is 'ingest', 'nightly'. A statement of one word is written df.sql('cleanup')."
    )
    value(session, "SELECT df.undefine('nightly')")
    assert refusal(session, start("nightly")) == "42704"
    assert refusal(session, "SELECT df.undefine('nightly')") == "42704"
    assert define(session, "'SELECT 1'") == "nightly version 1"
    assert define(session, "'SELECT 2'") == "nightly version 2"


def test_names_belong_to_their_role(session: Connection, roles: Callable[..., str], server: Server) -> None:
    anna = roles("anna")
    session.execute("SELECT df.grant_usage(%s)", [anna])
    define(session, "'SELECT 1'")
    with connect(server.url(session.info.dbname, anna)) as hers:
        assert refusal(hers, "SELECT df.start('nightly')") == "42704"
        assert define(hers, "'SELECT 2'") == "nightly version 1"
        value(hers, "SELECT df.start('nightly')")
        assert value(hers, "SELECT count(*) FROM df.definitions") == 1
        # What is inserted by hand is what the trigger makes of it.
        hers.execute("INSERT INTO df.instances (expression, definition) VALUES ('forged', 'nightly')")
        assert value(hers, "SELECT count(DISTINCT expression) FROM df.instances") == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("NULL, 'SELECT 1'", "DF116"),
        ("'a b', 'SELECT 1'", "DF113"),
        ("'input', 'SELECT 1'", "DF113"),
        ("'x', NULL", "DF116"),
        ("'x', 'word'", "DF112"),
        ("'x', df.step('a', 'SELECT 1') ~> df.step('a', 'SELECT 2')", "DF105"),
        ("'x', 'SELECT 1', on_failure => 'word'", "DF112"),
        ("'x', 'SELECT 1', queue => ''", "22023"),
        ("'x', 'SELECT 1', timeout => 0", "DF166"),
        ("'x', 'SELECT 1', timeout => '2000 years'", "DF166"),
        ("'x', 'SELECT 1', concurrency_limit => 0", "22023"),
        ("'x', 'SELECT 1', params => '[]'", "22023"),
        ("'x', 'SELECT 1', params => '{\"a b\": \"date\"}'", "22023"),
    ],
)
def test_what_is_refused(session: Connection, arguments: str, code: str) -> None:
    said = said_by(lambda: session.execute(f"SELECT df.define({arguments})".encode()))
    assert said[0] == code and said[2] and said[3]
    assert value(session, "SELECT count(*) FROM df.definitions") == 0


def test_params_in_their_normal_form(session: Connection) -> None:
    define(
        session,
        """'SELECT $input.day', params => '{"day": "date", "n": {"type": " integer ", "default": 5},
           "note": {"type": "text", "required": false}}'""",
    )
    assert value(session, "SELECT params FROM df.definitions") == {
        "day": {"type": "date", "required": True},
        "n": {"type": "integer", "default": 5, "required": False},
        "note": {"type": "text", "required": False},
    }
    wire = str(value(session, "SELECT expression FROM df.definitions"))
    assert wire.partition("*/")[2] == (
        '{"params":{"n": {"type": "integer", "default": 5, "required": false},'
        ' "day": {"type": "date", "required": true},'
        ' "note": {"type": "text", "required": false}},"body":{"sql":"SELECT $input.day"}}'
    )
    assert define(session, "'SELECT 1', params => '{}'", "free") == "free version 1"
    assert value(session, "SELECT params FROM df.definitions WHERE name = 'free'") is None


def test_every_problem_of_a_declaration_is_named(session: Connection) -> None:
    said = said_by(
        lambda: define(
            session,
            """'SELECT 1', params => '{"a": "dat", "b": 1, "c": {"type": "date", "defalt": 1},
               "d": {"type": "date", "default": "x"}, "e": {"required": true},
               "f": {"type": "int", "required": 1}}'""",
        )
    )
    assert str(said[2]).split("\n") == [
        "a: there is no type 'dat'",
        "b: it has no type",
        "c: unknown defalt (there is type, default and required)",
        'd: "x" is not a date',
        "e: it has no type",
        "f: required is true or false",
    ]


DECLARED = """'SELECT 1', params => '{"day": "date", "n": {"type": "integer", "default": 5},
    "tags": {"type": "text[]", "required": false}, "at": {"type": "timestamptz", "required": false},
    "any": {"type": "jsonb", "required": false}}'"""


def test_every_problem_of_an_input_is_named(session: Connection) -> None:
    define(session, DECLARED)
    start = "SELECT df.start('nightly', input => %s)"
    given = '{"day": "x", "n": "many", "at": "2026-02-30", "z": 1, "tags": 5}'
    sqlstate, message, detail, hint = said_by(lambda: session.execute(start, [given]))
    assert (sqlstate, message) == ("22023", 'the input of workflow "nightly" is not what it declares')
    assert str(detail).split("\n") == [
        'at: "2026-02-30" is not a timestamp with time zone',
        'day: "x" is not a date',
        'n: "many" is not a integer',
        "tags: 5 is not a text[]",
        "z: unknown",
    ]
    assert str(hint).startswith("It takes any (jsonb, optional), at (timestamptz, optional), day (date)")
    assert said_by(lambda: session.execute(start, [None]))[2] == "day: missing"
    assert said_by(lambda: session.execute(start, ['{"day": null}']))[2] == "day: null"
    assert said_by(lambda: session.execute(start, ["[1]"]))[2] == "It is [1], not an object."
    good = '{"day": "2026-01-31", "tags": ["a", "b"], "any": {"x": 1}}'
    instance = session.execute(start, [good]).fetchall()[0][0]
    filled = value(session, "SELECT input FROM df.instances WHERE id = %s", instance)
    assert filled == {"day": "2026-01-31", "n": 5, "tags": ["a", "b"], "any": {"x": 1}}


def test_the_same_key_with_defaults(session: Connection) -> None:
    define(session, DECLARED)
    start = "SELECT df.start('nightly', input => %s, idempotency_key => 'k')"
    one = value(session, start, '{"day": "2026-01-31"}')
    define(session, DECLARED.replace("5", "6"))
    assert value(session, start, '{"day": "2026-01-31"}') == one
    assert refusal(session, start, '{"day": "2026-01-30"}') == "22023"
    assert refusal(session, "SELECT df.start('SELECT 1', idempotency_key => 'k')") == "22023"


@pytest.mark.parametrize(
    ("status", "starts"),
    [("failed", True), ("compensated", True), ("completed", False), ("cancelled", False)],
)
def test_on_failure(session: Connection, status: str, starts: bool) -> None:
    me = register(session)
    define(session, "'SELECT 1', on_failure => 'SELECT $input.error' ~> 'SELECT 2', queue => 'q'")
    instance = str(value(session, "SELECT df.start('nightly', label => 'of today', input => '{\"a\": 1}')"))
    define(session, "'SELECT 1'")
    [(_, token, _)] = claim(session, me)
    if status == "completed":
        session.execute(
            "SELECT df._record(%s, %s, 'a', 'completed', '1', NULL, %s)",
            [token, instance, '{"status": "completed", "shape": "a"}'],
        )
    else:
        finish(session, token, instance, status)
    rows = session.execute(
        "SELECT label, definition, queue, input FROM df.instances WHERE id <> %s", [instance]
    ).fetchall()
    if not starts:
        assert rows == []
        return
    [(label, definition, queue, given)] = rows
    assert (label, definition, queue) == ("of today (on failure)", None, "q")
    assert given == {
        "instance_id": instance, "label": "of today", "definition": "nightly", "status": status,
        "error": {"message": "broken", "sqlstate": "P0001"}, "input": {"a": 1},
    }  # fmt: skip
    # Its own failure starts nothing.
    [(second, token, _)] = claim(session, me)
    finish(session, token, second, "failed")
    assert value(session, "SELECT count(*) FROM df.instances") == 2


def test_a_child(session: Connection) -> None:
    me = register(session)
    define(session, DECLARED, "child")
    session.execute("SET search_path = shop, public; SET TimeZone = 'Asia/Tokyo'")
    parent = str(value(session, "SELECT df.start('SELECT 1', queue => 'q', priority => 3)"))
    session.execute("RESET ALL")
    [(_, token, _)] = claim(session, me)
    call = "SELECT df._start_child(%s, %s, %s, %s, %s)"
    child = value(session, call, token, parent, "a/child1", "child", '{"day": "2026-01-31"}')
    assert value(session, call, token, parent, "a/child1", "child", '{"day": "2026-01-31"}') == child
    assert value(session, call, token, parent, "a/child2", "child", '{"day": "2026-01-31"}') != child
    row = session.execute(
        "SELECT parent, search_path, time_zone, queue, priority, input->'n' FROM df.instances WHERE id = %s",
        [child],
    ).fetchone()
    assert row == (parent, "shop, public", "Asia/Tokyo", "q", 3, 5)
    assert said_by(lambda: session.execute(call, [token, parent, "b", "chidl", None]))[0] == "42704"
    wrong = said_by(lambda: session.execute(call, [token, parent, "b", "child", '{"day": "x"}']))
    assert wrong[0] == "22023" and wrong[2] == 'day: "x" is not a date'
    assert refusal(session, call, b"x" * 16, parent, "b", "child", None) == "DX001"
    assert value(session, "SELECT count(*) FROM df.instances") == 3


def test_a_child_under_the_key_of_its_caller(session: Connection) -> None:
    """However many places there are: it would wait for its caller, which waits for it."""
    me = register(session)
    for name, key in (("same", "k"), ("other", "l")):
        value(
            session,
            f"SELECT df.define('{name}', 'SELECT 1', concurrency_key => '{key}', concurrency_limit => 5)",
        )
    value(session, "SELECT df.define('between', 'SELECT 1')")
    parent = str(
        value(session, "SELECT df.start('SELECT 1', concurrency_key => 'k', concurrency_limit => 5)")
    )
    [(_, token, _)] = claim(session, me)
    call = "SELECT df._start_child(%s, %s, %s, %s, NULL)"
    said = said_by(lambda: session.execute(call, [token, parent, "a", "same"]))
    assert said[0] == "55000" and parent in str(said[2])
    value(session, call, token, parent, "b", "other")
    between = value(session, call, token, parent, "c", "between")
    tokens = {instance: token for instance, token, _ in claim(session, me)}
    said = said_by(lambda: session.execute(call, [tokens[str(between)], between, "a", "same"]))
    assert said[0] == "55000" and parent in str(said[2])


def test_the_worker_runs_nothing_of_the_submitters_types(
    session: Connection, roles: Callable[..., str], server: Server
) -> None:
    """A domain's check in a declaration: df.start of its owner calls it, a call by the worker does not."""
    anna = roles("anna")
    session.execute("SELECT df.grant_usage(%s)", [anna])
    session.execute(
        "CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO public; CREATE TABLE trap.caught (who text)"
    )
    session.execute("GRANT ALL ON trap.caught TO public")
    me = register(session)
    with connect(server.url(session.info.dbname, anna)) as hers:
        hers.execute(
            """CREATE FUNCTION trap.spy(text) RETURNS boolean LANGUAGE plpgsql AS
               $$ BEGIN INSERT INTO trap.caught VALUES (current_user); RETURN $1 <> 'bad'; END $$;
               CREATE DOMAIN trap.d AS text CHECK (trap.spy(VALUE)); CREATE TYPE trap.e AS ENUM ('one');
               SELECT df.define('child', 'SELECT 1',
                                params => '{"d": "trap.d", "a": "trap.d[]", "e": "trap.e"}')"""
        )
        good = '{"d": "x", "a": ["x"], "e": "one"}'
        start = "SELECT df.start('child', input => %s)"
        parent = str(value(hers, start, good))
        assert refusal(hers, start, good.replace('"x"', '"bad"', 1)) == "22023"
        assert refusal(hers, start, good.replace("one", "two")) == "22023"
    session.execute("TRUNCATE trap.caught")
    [(_, token, _)] = claim(session, me)
    call = "SELECT df._start_child(%s, %s, 'a', 'child', %s)"
    assert refusal(session, call, token, parent, good.replace("one", "two")) == "22023"
    value(session, call, token, parent, good.replace('"x"', '"bad"'))
    assert value(session, "SELECT count(*) FROM trap.caught") == 0
