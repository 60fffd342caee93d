"""What operators ask of instances, as far as SQL goes: what is stored, what is refused, what a claim takes."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.sql.worker import Connection, claim, connect, refusal, register, value

ENDED = 'SELECT df._finish(%s, %s, \'{"status": "cancelled"}\')'


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


def start(connection: Connection, arguments: str = "") -> str:
    return str(value(connection, f"SELECT df.start('SELECT 1'{arguments})"))


def asked(connection: Connection) -> list[object]:
    return [row[0] for row in connection.execute("SELECT kind FROM df.requests ORDER BY id").fetchall()]


def said(connection: Connection, query: str, *parameters: object) -> list[str]:
    """The notices of a statement."""
    found: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        found.append(f"{notice.severity}: {notice.message_primary}")

    connection.add_notice_handler(hear)
    connection.execute(query.encode(), parameters)
    connection.remove_notice_handler(hear)
    return found


PAUSE, RESUME = "SELECT df.pause_instance(%s)", "SELECT df.resume_instance(%s)"


def test_pausing_is_a_row_of_the_transaction(session: Connection) -> None:
    instance = start(session)
    session.execute("BEGIN")
    assert value(session, PAUSE, instance) == f"Instance {instance} paused"
    assert value(session, "SELECT df.status(%s)", instance) == "paused"
    session.execute("ROLLBACK")
    assert value(session, "SELECT df.status(%s)", instance) == "pending"
    assert asked(session) == []


def test_what_is_said_and_not_stored(session: Connection) -> None:
    instance = start(session)
    assert said(session, RESUME, instance) == [f"NOTICE: instance {instance} is not paused"]
    assert said(session, PAUSE, instance) == []
    assert said(session, PAUSE, instance) == [f"NOTICE: instance {instance} is paused already"]
    assert said(session, RESUME, instance) == []
    assert asked(session) == ["pause", "resume"]
    [(_, token, _)] = claim(session, register(session))
    session.execute(ENDED, [token, instance])
    for query in (PAUSE, RESUME):
        assert said(session, query, instance) == [f"NOTICE: instance {instance} had ended already: cancelled"]
        assert refusal(session, query, "nothing") == "P0002"
        assert refusal(session, query, None) == "P0002"
    other = start(session)
    session.execute("SELECT df.cancel(%s)", [other])
    assert said(session, PAUSE, other) == [f"NOTICE: instance {other} is about to end already: cancelled"]
    assert asked(session) == ["cancel"]


def test_the_latest_counts_in_all_that_shows_a_status(session: Connection) -> None:
    instance = start(session, ", label => 'nightly'")
    me = register(session)
    for wanted, query in (("paused", PAUSE), ("pending", RESUME), ("paused", PAUSE)):
        session.execute(query.encode(), [instance])
        for carried_out in (False, True):
            if carried_out and wanted == "paused":
                assert claim(session, me) == []
                assert value(session, "SELECT paused FROM df.instances") is True
                assert asked(session) == []
            for look in (
                f"SELECT df.status('{instance}')",
                f"SELECT status FROM df.instance_info('{instance}')",
                "SELECT status FROM df.list_instances()",
                f"SELECT status FROM df.list_instances('{wanted}')",
                f"SELECT status FROM df.list_instances('{wanted}', 9, 'nightly')",
            ):
                assert value(session, look) == wanted
            for other in {"paused", "pending", "running"} - {wanted}:
                assert value(session, f"SELECT count(*) FROM df.list_instances('{other}')") == 0
            shown = str(value(session, "SELECT df.explain(%s)", instance))
            assert f"Status:   ○ {wanted.capitalize()}" in shown
    assert value(session, "SELECT running_instances FROM df.metrics()") == 1


def test_a_claim_takes_it_when_it_is_resumed(session: Connection) -> None:
    me = register(session)
    instance = start(session)
    [(_, token, _)] = claim(session, me)
    session.execute("SELECT df._park(%s, %s, 0, 'x', false)", [token, instance])
    session.execute(PAUSE, [instance])
    assert claim(session, me) == []
    assert value(session, "SELECT wake_at = 'infinity' FROM df.fences") is True
    session.execute("INSERT INTO df.requests (instance_id, kind) VALUES (%s, 'wake')", [instance])
    assert claim(session, me) == []
    session.execute(RESUME, [instance])
    [(taken, _, resumed)] = claim(session, me)
    assert (taken, resumed) == (instance, True)
    row = session.execute("SELECT paused, waiting_for FROM df.instances").fetchone()
    assert row == (False, None)


def test_who_holds_it_is_told(session: Connection) -> None:
    me = register(session)
    instance = start(session)
    [(_, token, _)] = claim(session, me)
    look = "SELECT kind, reason FROM df._cancels(%s) ORDER BY kind"
    park = "SELECT df._park(%s, %s, 'infinity', 'x', false, pausing => true)"
    session.execute(PAUSE, [instance])
    assert session.execute(look, [me]).fetchall() == [("pause", None)]
    session.execute(RESUME, [instance])
    assert session.execute(look, [me]).fetchall() == [("resume", None)]
    # It has heard of the pause alone: it is due at once.
    session.execute(park, [token, instance])
    [(_, token, _)] = claim(session, me)
    session.execute(PAUSE, [instance])
    session.execute("SELECT df.cancel(%s)", [instance])
    assert session.execute(look, [me]).fetchall() == [("cancel", "Cancelled by user"), ("pause", None)]
    assert value(session, "SELECT df.status(%s)", instance) == "cancelled"
    session.execute(park, [token, instance])
    assert len(claim(session, me)) == 1
