"""A workflow of a role that no worker serves: whoever starts it, waits for it or looks after it is told."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import Diagnostic

from tests.postgres import Server
from tests.sql.worker import Connection, claim, connect, value

REGISTER = "SELECT df._register_worker('here', 1, 't', 1, '{1}', 60, 4, %s::name[])"
FINDINGS = "SELECT status, detail, hint FROM df.doctor() WHERE \"check\" = 'submitters'"


@contextmanager
def heard(connection: Connection) -> Generator[list[tuple[str, str, str]]]:
    """What the server says meanwhile: severity, message, hint."""
    said: list[tuple[str, str, str]] = []

    def note(notice: Diagnostic) -> None:
        said.append((str(notice.severity), str(notice.message_primary), str(notice.message_hint)))

    connection.add_notice_handler(note)
    try:
        yield said
    finally:
        connection.remove_notice_handler(note)


@pytest.fixture
def anna(server: Server, database: str, roles: Callable[..., str]) -> Iterator[Connection]:
    name = roles("anna")
    with connect(database) as owner:
        owner.execute("SELECT df.grant_usage(%s)", [name])
    with connect(server.url(str(conninfo_to_dict(database)["dbname"]), name)) as connection:
        yield connection


def test_a_role_that_nobody_serves(database: str, anna: Connection) -> None:
    me = anna.info.user
    with connect(database) as owner:
        worker = value(owner, REGISTER, ["postgres"])
        with heard(anna) as said:
            instance = value(anna, "SELECT df.start('SELECT 1')")
        [(severity, message, hint)] = said
        assert (severity, message) == ("WARNING", f"instance {instance} waits: no worker serves role {me}")
        assert f"logs in as {me}" in hint and f"GRANT postgres TO {me}" in hint and hint.endswith("postgres.")
        waits = "SELECT waiting_for FROM df.instances WHERE id = %s"
        assert value(anna, waits, instance) == f"a worker that serves role {me}"
        with heard(anna) as said, pytest.raises(psycopg.Error) as caught:
            anna.execute("SELECT df.await_instance(%s, 1)", [instance])
        assert f"no worker serves role {me}" in said[0][1]
        assert "No worker serves" in str(caught.value.diag.message_detail)
        for session in (anna, owner):
            [(status, detail, hint)] = session.execute(FINDINGS).fetchall()
            assert (status, detail) == (
                "error",
                f"no worker serves role {me}: 1 waiting, the oldest is {instance}",
            )
            assert f"GRANT postgres TO {me}" in str(hint)
        # The worker's own role is served, and another role does not learn of it.
        with heard(owner) as said:
            own = value(owner, "SELECT df.start('SELECT 1')")
        assert said == [] and value(owner, waits, own) is None
        assert [row[0] for row in claim(owner, int(str(worker)), ["postgres"])] == [own]
        # One that serves it comes.
        other = value(owner, REGISTER, [me])
        assert anna.execute(FINDINGS).fetchall()[0][0] == "ok"
        with heard(anna) as said:
            value(anna, "SELECT df.start('SELECT 2')")
        assert said == []
        assert len(claim(owner, int(str(other)), [me])) == 2
        assert value(anna, waits, instance) is None
        # And goes: what it has begun waits.
        owner.execute("SELECT df._unregister_worker(%s)", [other])
        [(status, detail, _)] = anna.execute(FINDINGS).fetchall()
        assert status == "error" and "2 waiting" in str(detail)


def test_others_do_not_learn_of_it(
    database: str, anna: Connection, roles: Callable[..., str], server: Server
) -> None:
    bert = roles("bert")
    with connect(database) as owner:
        owner.execute("SELECT df.grant_usage(%s)", [bert])
        owner.execute(REGISTER.encode(), [["postgres"]])
    value(anna, "SELECT df.start('SELECT 1')")
    with connect(server.url(anna.info.dbname, bert)) as session:
        assert session.execute(FINDINGS).fetchall()[0][0] == "ok"


def test_no_worker_at_all(database: str) -> None:
    with connect(database) as owner, heard(owner) as said:
        instance = value(owner, "SELECT df.start('SELECT 1')")
        assert [(severity, message) for severity, message, _ in said] == [
            ("NOTICE", f"instance {instance} waits: no worker is alive")
        ]
        assert value(owner, "SELECT waiting_for FROM df.instances WHERE id = %s", instance) == "a worker"
        assert owner.execute(FINDINGS).fetchall()[0][0] == "ok"


def test_a_worker_that_has_not_said(database: str, anna: Connection) -> None:
    """One of before the column: it may serve everybody."""
    with connect(database) as owner:
        owner.execute(REGISTER.encode(), [None])
    with heard(anna) as said:
        value(anna, "SELECT df.start('SELECT 1')")
    assert said == []
