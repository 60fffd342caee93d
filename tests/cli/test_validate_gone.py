"""`dfc validate --database` where there is none, none for this role, or one that goes away."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from dfc.executor.describe.database import DatabaseDescriber
from tests.cli.conftest import Run, environment, hearing

STEPS = " ~> ".join(f"df.step('s{n}', 'SELECT {n} AS n')" for n in range(40))


@contextmanager
def cut(database: str, answers: int) -> Generator[str]:
    """The URL of a way to the database on which the server is gone after so many answers of its."""
    parts = urlsplit(database)
    folder = parse_qs(parts.query)["host"][0]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=pass_on, args=(client,), daemon=True).start()

    def pass_on(client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{folder}/.s.PGSQL.5432")
        threading.Thread(target=forward, args=(client, server), daemon=True).start()
        for _ in range(answers):
            data = server.recv(65536)
            if not data:
                break
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)
        server.close()

    def forward(client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                server.sendall(data)
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    try:
        port = listener.getsockname()[1]
        yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"
    finally:
        listener.close()


def test_no_way_in(dfc: Run, tmp_path: Path, database: str) -> None:
    (tmp_path / "w.dfsql").write_text(f"{STEPS};")
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS nothing_at_all")
        conn.execute("CREATE ROLE nothing_at_all LOGIN")
        conn.execute("CREATE SCHEMA IF NOT EXISTS closed")
        conn.execute("CREATE TABLE closed.t (a int)")
    for url in (
        "postgresql://me@127.0.0.1:1/db",
        "postgresql://me@no.such.host.invalid/db",
        database.replace("postgres@", "nobody_of_that_name@"),
        database.replace("/test", "/missing"),
        "nonsense",
        "postgresql://[",
    ):
        answer = dfc("validate", "w.dfsql", "--database", url)
        assert answer.returncode in (1, 2), (url, answer.stdout)
        assert "Traceback" not in answer.stderr and answer.stderr.count("\n") <= 2, answer.stderr
        assert answer.stderr.startswith("dfc: "), answer.stderr
    (tmp_path / "closed.dfsql").write_text("df.step('a', 'SELECT a FROM closed.t') ~> 'SELECT 1';")
    url = database.replace("postgres@", "nothing_at_all@")
    answer = dfc("validate", "closed.dfsql", "--notes", "--database", url)
    assert answer.returncode == 0 and "DF410" in answer.stdout, (answer.stdout, answer.stderr)


@pytest.mark.parametrize(
    "sql", ["SELECT a FROM t", "TRUNCATE t", "TRUNCATE shut.t", "SELECT f()", "SELECT NULL::mood"]
)
def test_what_a_role_may_not_see_is_not_unknown(
    dfc: Run, tmp_path: Path, bare_database: str, sql: str
) -> None:
    with psycopg.connect(bare_database, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS nothing_at_all")
        conn.execute("CREATE ROLE nothing_at_all LOGIN")
        conn.execute("CREATE SCHEMA shut")
        conn.execute("CREATE TABLE shut.t (a int)")
        conn.execute("CREATE FUNCTION shut.f() RETURNS int RETURN 1")
        conn.execute("CREATE TYPE shut.mood AS ENUM ('fine')")
        conn.execute('ALTER ROLE nothing_at_all SET search_path = public, "shut"')
        other = sql.replace("t", "tt").replace("f(", "ff(").replace("mood", "moody")
        (tmp_path / "there.dfsql").write_text(f"df.step('a', '{sql}') ~> 'SELECT $a?';")
        (tmp_path / "not.dfsql").write_text(f"df.step('a', '{other}') ~> 'SELECT $a?';")
        url = bare_database.replace("postgres@", "nothing_at_all@")
        there = dfc("validate", "there.dfsql", "--database", url)
        assert there.returncode == 0, (there.stdout, there.stderr)
        missing = dfc("validate", "not.dfsql", "--database", url)
        assert missing.returncode == 1 and "DF40" in missing.stdout, (missing.stdout, missing.stderr)
        conn.execute("DROP OWNED BY nothing_at_all")


@contextmanager
def silent() -> Generator[tuple[str, threading.Event]]:
    """The URL of a server that lets in, and then says nothing more; whether it has been asked something."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            clients.append(client)
            client.recv(10_000)
            client.sendall(b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I")
            client.recv(10_000)
            asked.set()

    asked = threading.Event()
    clients: list[socket.socket] = []
    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"postgresql://me@127.0.0.1:{listener.getsockname()[1]}/db?sslmode=disable", asked
    finally:
        listener.close()
        for client in clients:
            client.close()


def test_a_server_that_says_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfc.executor.describe.session.ANSWER_SECONDS_MAX", 0.5)
    with silent() as (url, _), pytest.raises(psycopg.OperationalError, match=r"said nothing for 0\.5 s"):
        DatabaseDescriber(url)


def test_ctrl_c_while_the_server_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "w.dfsql").write_text(f"{STEPS};")
    with silent() as (url, asked):
        command = [sys.executable, "-m", "dfc", "validate", "w.dfsql", "--database", url]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True, preexec_fn=hearing
        )
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in stderr, stderr


def test_a_server_that_goes_away(dfc: Run, tmp_path: Path, database: str) -> None:
    (tmp_path / "w.dfsql").write_text(f"{STEPS};")
    for answers in (0, 1, 2, 5, 20):
        with cut(database, answers) as url:
            answer = dfc("validate", "w.dfsql", "--database", url)
        assert answer.returncode == 1, (answers, answer.stdout)
        assert "Traceback" not in answer.stderr, answer.stderr
        assert answer.stderr.startswith("dfc: "), (answers, answer.stderr)
