"""df.start, df.status, df.result, df.cancel and the two ways to wait."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.sql.worker import WIRE, Connection, checkpoint, claim, connect, refusal, register, value


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def test_start_pins_a_known_plan_and_joins_the_transaction(session: Connection) -> None:
    with pytest.raises(ZeroDivisionError), session.transaction():
        value(session, "SELECT df.start('SELECT 42')")
        raise ZeroDivisionError
    assert value(session, "SELECT count(*) FROM df.instances") == 0
    session.execute("INSERT INTO df.plans VALUES (sha256(%s), 7, '{\"format\": 1}', 'h')", [WIRE.encode()])
    value(session, "SELECT df.start('SELECT 42', 'nightly')")
    query = "SELECT label, expression, encode(expression_hash, 'hex'), plan_hash FROM df.instances"
    [(label, expression, _, plan)] = session.execute(query).fetchall()
    assert (label, expression, plan) == ("nightly", WIRE, None)
    register(session, compiler=7)
    second = value(session, "SELECT df.start('SELECT 42')")
    assert value(session, "SELECT plan_hash FROM df.instances WHERE id = %s", second) == "h"
    assert value(session, "SELECT expression_hash = sha256(convert_to(expression, 'UTF8')) FROM df.instances")
    assert value(session, "SELECT min(uuid_send(id::uuid)::text) LIKE '\\\\x________%%7%%' FROM df.instances")


def test_start_takes_a_compiled_document(session: Connection) -> None:
    value(
        session,
        "SELECT df.start(%s::jsonb, label => 'doc')",
        json.dumps({"expression": WIRE, "plan": {"evil": 1}}),
    )
    row = session.execute("SELECT expression, plan, label FROM df.instances").fetchone()
    assert row == (WIRE, None, "doc")
    assert refusal(session, "SELECT df.start('{\"plan\": {}}'::jsonb)") == "22023"
    assert refusal(session, "SELECT df.start(NULL::jsonb)") == "22023"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("transaction_mode => 'new'", "0A000"),
        ("transaction_mode => 'NEW'", "0A000"),
        ("transaction_mode => 'later'", "22023"),
        ("transaction_mode => NULL", "22023"),
        ("database => 'elsewhere'", "3D000"),
        ("label => repeat('x', 1001)", "22001"),
    ],
)
def test_arguments_of_later_versions(session: Connection, arguments: str, code: str) -> None:
    assert refusal(session, f"SELECT df.start('SELECT 1', {arguments})") == code
    session.execute(
        "SELECT df.start('SELECT 1', database => current_database(), transaction_mode => 'Caller')"
    )


def test_input_goes_with_the_instance(session: Connection) -> None:
    one = value(session, "SELECT df.start('SELECT 1', input => '{\"n\": 1.50}')")
    two = value(session, "SELECT df.start('SELECT 1', input => 'null')")
    given = "SELECT input::text FROM df._claim(%s, '{1}', NULL, 9) ORDER BY instance_id"
    rows = session.execute(given.encode(), [register(session)]).fetchall()
    assert (str(one) < str(two), rows) == (True, [('{"n": 1.50}',), ("null",)])


def test_what_start_refuses_an_insert_refuses_too(session: Connection) -> None:
    insert = "INSERT INTO df.instances (expression, {}) VALUES (%s, {})"
    for column, given in [("database", "'elsewhere'")]:
        assert refusal(session, insert.format(column, given), WIRE) == "3D000"
    for column, given in [("database", "current_database()"), ("queue", "'q'"), ("priority", "1")]:
        session.execute(insert.format(column, given).encode(), [WIRE])


def test_the_limit_is_that_of_the_wire_text(session: Connection) -> None:
    # Each quotation mark is two characters there.
    start = "SELECT df.start('SELECT 1 --' || repeat('\"', 40000000))"
    assert refusal(session, start) == "DF513"


def test_start_says_when_no_worker_is_alive(session: Connection) -> None:
    notices: list[str | None] = []
    session.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    value(session, "SELECT df.start('SELECT 1')")
    assert len(notices) == 1 and "no worker is alive" in str(notices[0])
    register(session)
    value(session, "SELECT df.start('SELECT 1')")
    assert len(notices) == 1


def test_start_wakes_workers_unless_told_not_to(session: Connection, database: str) -> None:
    with connect(database) as listener:
        listener.execute("LISTEN df_work")
        value(session, "SELECT df.start('SELECT 1')")
        assert [n.channel for n in listener.notifies(timeout=10, stop_after=1)] == ["df_work"]
        with session.transaction():
            session.execute("SELECT df.start('SELECT ' || g) FROM generate_series(1, 500) g")
        session.execute("NOTIFY df_work, 'last'")
        seen = 0
        for note in listener.notifies(timeout=10):
            seen += 1
            if note.payload == "last":
                break
        assert seen < 250


def test_two_phase_commit(session: Connection) -> None:
    session.execute("BEGIN; SELECT df.start('SELECT 1')")
    assert refusal(session, "PREPARE TRANSACTION 'a'") == "0A000"
    session.execute("SET df.notify = off")
    session.execute("BEGIN; SELECT df.start('SELECT 1'); PREPARE TRANSACTION 'a'")
    session.execute("COMMIT PREPARED 'a'")
    assert value(session, "SELECT count(*) FROM df.instances") == 1


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_any_isolation_level_and_inside_functions(session: Connection, level: str) -> None:
    session.execute(
        "CREATE FUNCTION go() RETURNS text LANGUAGE plpgsql AS $$"
        " BEGIN RETURN df.start(df.sql('SELECT 1')); EXCEPTION WHEN others THEN RAISE; END $$"
    )
    session.execute(f"BEGIN ISOLATION LEVEL {level}".encode())
    value(session, "SELECT go()")
    session.execute("COMMIT")
    assert value(session, "SELECT count(*) FROM df.instances") == 1


def test_search_path_and_time_zone_are_the_callers(session: Connection) -> None:
    session.execute("SET search_path = public, \"odd, name\"; SET TimeZone = 'Asia/Tokyo'")
    value(session, "SELECT df.start('SELECT 1')")
    row = session.execute("SELECT search_path, time_zone FROM df.instances").fetchone()
    assert row == ('public, "odd, name"', "Asia/Tokyo")


def test_cancel(session: Connection) -> None:
    instance = value(session, "SELECT df.start('SELECT 1')")
    assert value(session, "SELECT df.cancel(%s, 'stop')", instance) == f"Instance {instance} cancelled: stop"
    assert value(session, "SELECT df.status(%s)", instance) == "cancelled"
    assert value(session, "SELECT df.status('nothing')") is None
    assert refusal(session, "SELECT df.cancel('nothing')") == "P0002"
    assert refusal(session, "SELECT df.cancel(NULL)") == "P0002"
    me = register(session)
    [(_, token, _)] = claim(session, me)
    session.execute('SELECT df._finish(%s, %s, \'{"status": "cancelled"}\')', [token, instance])
    said: list[str] = []
    session.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
    assert (
        value(session, "SELECT df.cancel(%s)", instance)
        == f"Instance {instance} cancelled: Cancelled by user"
    )
    assert said == [f"instance {instance} had ended already: cancelled"]
    assert value(session, "SELECT count(*) FROM df.requests") == 0


def test_a_cancel_that_comes_while_undo_steps_run(session: Connection) -> None:
    """It changes nothing, and neither says that it does."""
    instance = value(session, "SELECT df.start('SELECT 1')")
    [(_, token, _)] = claim(session, register(session))
    decide = "SELECT df._record_decision(%s, %s, '/decision', '{\"status\": \"failed\"}')"
    session.execute(decide.encode(), [token, instance])
    said: list[str] = []
    session.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
    value(session, "SELECT df.cancel(%s)", instance)
    assert said == [f"instance {instance} is about to end already: failed"]
    assert value(session, "SELECT df.status(%s)", instance) == "running"


def test_requests_of_ended_instances_do_not_stay(session: Connection, roles: Callable[..., str]) -> None:
    anna = roles("anna")
    value(session, "SELECT df.grant_usage(%s)", anna)
    session.execute(f"SET ROLE {anna}".encode())
    instance = value(session, "SELECT df.start('SELECT 1')")
    ask = "INSERT INTO df.requests (instance_id, kind) VALUES (%s, 'cancel')"
    session.execute(ask.encode(), [instance])
    session.execute("RESET ROLE")
    me = register(session)
    [(_, token, _)] = claim(session, me)
    session.execute('SELECT df._finish(%s, %s, \'{"status": "cancelled"}\')', [token, instance])
    session.execute(f"SET ROLE {anna}".encode())
    assert refusal(session, ask, instance) == "42501"
    # The policy cannot see an end that has not committed: such a request goes with the next worker.
    session.execute("RESET ROLE")
    running = value(session, "SELECT df.start('SELECT 1')")
    for each in (instance, running):
        session.execute(ask.encode(), [each])
    session.execute("SELECT df._unregister_worker(%s)", [me])
    assert session.execute("SELECT instance_id FROM df.requests").fetchall() == [(running,)]


def test_await_refuses_what_it_could_never_see(session: Connection) -> None:
    instance = value(session, "SELECT df.start('SELECT 1')")
    wait = "SELECT df.await_instance(%s)"
    for level in ("REPEATABLE READ", "SERIALIZABLE"):
        session.execute(f"BEGIN ISOLATION LEVEL {level}".encode())
        assert refusal(session, wait, instance) == "55000"
        session.execute("ROLLBACK")
    session.execute("SET df.in_workflow = 'true'")
    assert refusal(session, wait, instance) == "55000"
    session.execute("RESET ALL")
    session.execute("BEGIN")
    assert refusal(session, wait, value(session, "SELECT df.start('SELECT 1')")) == "55000"
    session.execute("ROLLBACK; BEGIN; SAVEPOINT s")
    inner = value(session, "SELECT df.start('SELECT 1')")
    session.execute("RELEASE s")
    assert refusal(session, wait, inner) == "55000"
    session.execute("ROLLBACK")
    assert refusal(session, "SELECT df.await_instance('nothing')") == "P0002"
    assert refusal(session, "SELECT df.await_instance(%s, 0)", instance) == "22023"
    with pytest.raises(
        psycopg.Error, match=f"Timeout after 1s waiting for instance {instance} \\(status: pending\\)"
    ) as caught:
        session.execute("SELECT df.await_instance(%s, 1)", [instance])
    assert caught.value.diag.message_detail == "No worker has been seen."
    session.execute("BEGIN")
    assert refusal(session, "CALL df.await(%s)", instance) == "2D000"
    session.execute("ROLLBACK")


@pytest.mark.parametrize("wait", ["SELECT df.await_instance(%s)", "CALL df.await(%s)"])
def test_await_sees_the_end(session: Connection, database: str, wait: str) -> None:
    instance = str(value(session, "SELECT df.start('SELECT 42')"))
    answers: list[object] = []

    def waiting() -> None:
        with connect(database) as other:
            answers.append(value(other, wait, instance))

    thread = threading.Thread(target=waiting)
    thread.start()
    me = register(session)
    [(_, token, _)] = claim(session, me)
    checkpoint(session, token, instance, "a", {"status": "completed", "shape": "a"})
    thread.join(30)
    assert answers == ["completed"]
    assert value(session, "SELECT df.result(%s)", instance) == '{"rows": [{"answer": 42}], "row_count": 1}'
