"""The worker's calls, as the tests make them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

Connection = psycopg.Connection[tuple[object, ...]]

WIRE = '/*dfc:1:19*/{"sql":"SELECT 42"}'
PLAN: dict[str, object] = {"format": 1, "nodes": [], "result": "step1"}


def connect(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True)


def register(connection: Connection, lease: float = 60, compiler: int = 1) -> int:
    row = connection.execute(
        "SELECT df._register_worker('here', 1, '0.1', %s, '{1}', %s, 4)", [compiler, lease]
    ).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def submit(connection: Connection, expression: str = WIRE) -> str:
    row = connection.execute(
        "INSERT INTO df.instances (expression) VALUES (%s) RETURNING id", [expression]
    ).fetchone()
    assert row is not None
    return str(row[0])


def claim(
    connection: Connection,
    worker: int,
    roles: list[str] | None = None,
    most: int = 10,
) -> list[tuple[str, bytes, bool]]:
    rows = connection.execute(
        "SELECT instance_id, token, resumed FROM df._claim(%s, '{1}', %s::name[], %s)", [worker, roles, most]
    ).fetchall()
    return [(str(row[0]), bytes(row[1]), bool(row[2])) for row in rows]  # type: ignore[arg-type]


def activation(token: bytes, path: str) -> bytes:
    return hashlib.sha256(token + path.encode()).digest()


CHECKPOINT = (
    "SELECT journal, finished, cancel_reason FROM df.checkpoint(%s, %s, %s, %s, %s::oid[], %s, %s, %s)"
)


def checkpoint(
    connection: Connection,
    token: bytes,
    instance: str,
    path: str,
    finish: object = None,
    cells: list[str | None] | None = None,
) -> tuple[object, ...]:
    written = json.dumps(finish) if finish is not None else None
    row = connection.execute(
        CHECKPOINT,
        [
            activation(token, path),
            instance,
            path,
            ["answer"],
            [23],
            cells or ["42"],
            len(cells or [1]),
            written,
        ],
    ).fetchone()
    assert row is not None
    return row


def value(connection: Connection, query: str, *parameters: object) -> object:
    """The first column of the first row."""
    row = connection.execute(query.encode(), parameters or None).fetchone()
    assert row is not None
    return row[0]


def refusal(connection: Connection, query: str, *parameters: object) -> str:
    """The SQLSTATE that a statement is refused with; it must say more than its message."""
    try:
        connection.execute(query.encode(), parameters or None)
    except psycopg.Error as error:
        assert error.sqlstate is not None
        return error.sqlstate
    raise AssertionError(f"not refused: {query}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A claimed instance, and the worker's connection."""

    worker: Connection
    instance: str
    token: bytes

    def of(self, path: str) -> bytes:
        """The token of an activation."""
        return activation(self.token, path)

    def step(self, connection: Connection, path: str, rider: object = None) -> None:
        """A step's checkpoint."""
        written = None if rider is None else json.dumps(rider)
        connection.execute(
            CHECKPOINT,
            [self.of(path), self.instance, path, ["answer"], [23], ["42"], 1, written],
        )


def code_of(call: Callable[[], object]) -> str | None:
    """The SQLSTATE that a call fails with, None when it does not."""
    try:
        call()
    except psycopg.Error as error:
        return error.sqlstate
    return None


def is_blocked(connection: Connection, pid: int) -> bool:
    return value(connection, "SELECT cardinality(pg_blocking_pids(%s)) > 0", pid) is True


FILL = "SELECT df.map_fill(%s, %s, %s, %s::bigint, %s, %s::oid[], %s, %s, %s)"
RECORD_ITEMS = "SELECT df.checkpoint_items(%s, %s, %s, %s, %s::oid[], %s)"
STORE = "SELECT df._store_items(%s, %s, %s, 1, NULL, NULL, NULL, NULL, NULL, %s)"
