"""What the tests of the worker's functions share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sql.worker import Connection, Run, claim, connect, register, submit


@pytest.fixture
def worker(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection


@pytest.fixture
def run(worker: Connection) -> Run:
    instance = submit(worker)
    [(_, token, _)] = claim(worker, register(worker))
    return Run(worker=worker, instance=instance, token=token)
