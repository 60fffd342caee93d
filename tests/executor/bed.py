"""Steps one after the other on a real server, each referring to those before."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import psycopg

from dfc.compiler.plan import Form
from dfc.executor.journal import Result, Rows
from tests.executor.statements import statement
from tests.executor.support import Bench, bench


class Bed:
    """A bench with its own event loop, for tests that are no coroutines."""

    def __init__(self, database: str, setup: str = "") -> None:
        self.database = database
        if setup:
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(setup.encode())
        self._loop = asyncio.new_event_loop()
        self._bench = bench(database)
        self.on: Bench = self.run(self._bench.__aenter__())

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine."""
        return self._loop.run_until_complete(work)

    def step(
        self,
        sql: str,
        *,
        name: str | None = None,
        form: Form | None = None,
        known: tuple[str, ...] = ("s",),
        results: Mapping[str, Result] | None = None,
    ) -> Rows:
        """Run a step. `known` are the names that count in literals, `results` those of other steps."""
        if name is not None:
            self.forget(name)
        self.on.results.update(results or {})
        return self.run(self.on.step(statement(sql, *known, form=form), name=name))

    def forget(self, name: str) -> None:
        """Let a step of this name be run once more."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("DELETE FROM df.checkpoints WHERE path = %s", [name])

    def close(self) -> None:
        """Give the sessions back."""
        self.run(self._bench.__aexit__(None, None, None))
        self._loop.close()
