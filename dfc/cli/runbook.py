"""How far `dfc run` has come with a file, kept in the embedded database, so that a killed run can go on.

Every mark is written in the transaction of what it marks: a statement has been run and marked, or neither.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from dfc.cli.database import Connection
from dfc.cli.errors import CliError
from dfc.cli.queries import query


@dataclass(slots=True, kw_only=True)
class Run:
    """A run of a file. `done` statements have committed; `instance` is the workflow that was started last.

    `since` is when a continued run began, None for a new one. Without `id` nothing is kept (other databases).
    """

    id: int | None = None
    done: int = 0
    instance: str | None = None
    since: str | None = None
    given_up: bool = False

    def started(self, conn: Connection, instance: str) -> None:
        """The workflow has been started, in the transaction that is open."""
        self.instance = instance
        if self.id is not None:
            conn.execute(query("runs_started"), {"run": self.id, "instance": instance})

    def mark(self, conn: Connection, done: int) -> None:
        """The first `done` statements are done."""
        self.done, self.instance = done, None
        if self.id is not None:
            conn.execute(query("runs_done"), {"run": self.id, "done": done})

    def finish(self, conn: Connection) -> None:
        """The run has come to its end, good or bad."""
        if self.id is not None:
            conn.execute(query("runs_finish"), {"run": self.id})


def open_run(conn: Connection, file: Path, text: str) -> Run:
    """Continue the file's unfinished run, or begin one. Raises CliError when another process runs it."""
    name = str(file.resolve())
    content_hash = hashlib.sha256(text.encode()).hexdigest()
    with conn.transaction():
        conn.execute(query("runs_create"))
    lock = conn.execute(query("runs_lock"), {"file": name}).fetchone()
    if lock is None or lock[0] is not True:
        raise CliError(f"another `dfc run` is at work on {file}: wait for it, or stop it")
    row = conn.execute(query("runs_open"), {"file": name}).fetchone()
    if row is not None and row[1] == content_hash:
        return Run(id=row[0], done=row[2], instance=row[3], since=row[4])
    begun = conn.execute(query("runs_begin"), {"file": name, "content_hash": content_hash}).fetchone()
    assert begun is not None
    return Run(id=begun[0], given_up=row is not None)
