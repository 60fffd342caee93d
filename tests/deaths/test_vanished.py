"""A machine or a path through the network vanishes: TCP has to find out, on both sides."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import psycopg
import pytest

from dfc.executor import migrate
from dfc.executor.connections import conninfo_for
from tests.deaths.packets import Packets, address
from tests.executor.support import WorkerProcess, chain, count_of, effects, ended, rows_of, submit, until
from tests.postgres import FAST, Server

Connection = psycopg.Connection[tuple[object, ...]]
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="the packet filter is Linux's"),
]

HELD = count_of("WITH open AS (SELECT * FROM gate FOR UPDATE) INSERT INTO effects SELECT 'held' FROM open")
SOON = "keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=3000"
SOON_AT_THE_SERVER = """
from dfc.executor import connections
connections._SERVER_SIDE.update(
    tcp_keepalives_idle="1", tcp_keepalives_interval="1", tcp_keepalives_count="2", tcp_user_timeout="3000"
)
"""
WAITING = "SELECT pid FROM pg_stat_activity WHERE application_name = 'dfc step' AND wait_event_type = 'Lock'"


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, str]]:
    """Where a server listens for TCP, and how it is reached without."""
    host = address()
    server = Server("18", {**FAST, "listen_addresses": host})
    server.start()
    try:
        migrate.install(server.url())
        yield host, server.url()
    finally:
        server.remove()


@pytest.fixture
def connection(place: tuple[str, str]) -> Iterator[Connection]:
    with psycopg.connect(place[1], autocommit=True) as opened:
        opened.execute(
            "CREATE TABLE effects (who text, pid int DEFAULT pg_backend_pid());"
            " CREATE TABLE gate AS SELECT 1 AS n"
        )
        yield opened
        opened.execute("DROP TABLE effects, gate")


def test_a_step_whose_connection_vanishes_is_done_again(
    place: tuple[str, str], connection: Connection
) -> None:
    """Only this one: the heartbeat goes on, so the worker stays. The server has not noticed yet."""
    with (
        psycopg.connect(place[1]) as locker,
        Packets(place[0], "postgres", "postgres", SOON) as packets,
        WorkerProcess(packets.database) as worker,
    ):
        worker.registered()
        locker.execute("SELECT * FROM gate FOR UPDATE")
        [instance] = submit(connection, chain(("held", HELD)))
        [old] = until(lambda: connection.execute(WAITING).fetchall(), "the step to wait")
        assert packets.vanish("dfc step") == 1
        until(lambda: len(connection.execute(WAITING).fetchall()) == 2, "the step to be done again")
        locker.rollback()
        assert ended(connection, instance)["status"] == "completed"
        assert worker.log.count("registered worker=") == 1
    # The old one was the first to get through the gate, and was refused.
    [(pid,)] = connection.execute("SELECT pid FROM effects").fetchall()
    assert pid != old[0]


def test_what_a_vanished_machine_holds_is_given_up(place: tuple[str, str], connection: Connection) -> None:
    """No lease runs out here. Its last words are never acknowledged, nor what the server answers it."""
    mine = "SELECT count(*)::int FROM pg_stat_activity WHERE pid = ANY (%s)"
    with (
        psycopg.connect(place[1]) as locker,
        Packets(place[0], "postgres", "postgres", SOON) as packets,
        WorkerProcess(packets.database, prelude=SOON_AT_THE_SERVER, lease_seconds=600.0) as worker,
    ):
        worker.registered()
        locker.execute("SELECT * FROM gate FOR UPDATE")
        ids = [
            *submit(connection, chain(("held", HELD))),
            *submit(connection, chain(("answered", rows_of("SELECT pg_sleep(1)")))),
        ]
        until(lambda: connection.execute(WAITING).fetchall(), "the step to wait")
        sleeps = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        until(lambda: connection.execute(sleeps).fetchall(), "the step that is answered too late")
        look = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'dfc %'"
        pids = [pid for (pid,) in connection.execute(look).fetchall()]
        assert packets.vanish("dfc ") == len(pids) >= 4
        worker.process.kill()
        with WorkerProcess(place[1], lease_seconds=600.0) as other:
            other.registered()
            until(lambda: connection.execute(mine, [pids]).fetchone() == (0,), "the server to notice")
            locker.rollback()
            for instance in ids:
                assert ended(connection, instance)["status"] == "completed"
    assert effects(connection) == [("held", 1)]


def test_both_sides_give_up_after_twenty_seconds(place: tuple[str, str]) -> None:
    conninfo = f"host={place[0]} user=postgres dbname=postgres"
    with psycopg.connect(conninfo_for(conninfo, application="dfc worker", steps=False)) as connection:
        names = ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout")
        shown = [connection.execute(f"SHOW tcp_{name}".encode()).fetchone() for name in names]
        assert shown == [("5",), ("5",), ("3",), ("20000",)]
        with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as own:
            kinds = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            assert own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert [own.getsockopt(socket.IPPROTO_TCP, kind) for kind in kinds] == [5, 5, 3, 20_000]
