"""The worker is killed before and after all that it sends, message by message; the ledger is counted.

Message n of a run is the n-th of all that the worker writes to PostgreSQL on whatever connection, from its
first login on; what it writes at once is one, and may be several statements: between these it is killed, too.
There is a run for each n, until one comes to its end before the worker has sent so much.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.harness import Hooks
from tests.executor.proxy import Cut, Proxy
from tests.executor.support import ended, until
from tests.sweep.plans import PLANS, SHORT, Swept
from tests.sweep.zygote import Zygote

PREPARATION = """
CREATE TABLE ledger (what text);
CREATE FUNCTION put(what text) RETURNS text LANGUAGE sql AS
  $$ SELECT df.sql(format('INSERT INTO ledger VALUES (%L)', what)) $$;
SELECT df.define('child', put('child one') ~> put('child two'));
"""
OVER = "SELECT completed_at IS NOT NULL FROM df.instances WHERE id = %s"
PARK_SECONDS = 0.25
"""So that waits give the instance up and take it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """Where a plan is swept."""

    connection: psycopg.Connection[Any]
    database: str
    proxy: Proxy
    zygote: Zygote
    hooks: Hooks


@pytest.fixture
def bed(database: str, tmp_path: Path) -> Iterator[Bed]:
    with (
        psycopg.connect(database, autocommit=True) as connection,
        Proxy(database) as proxy,
        Zygote(tmp_path / "log", park_seconds=PARK_SECONDS) as zygote,
        Hooks() as hooks,
    ):
        connection.execute(PREPARATION)
        yield Bed(connection=connection, database=database, proxy=proxy, zygote=zygote, hooks=hooks)


class Victim:
    """A worker behind the proxy, which is killed at the proxy's word."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._known = threading.Event()
        self._pid = 0
        bed.proxy.on_cut = self._die
        self._pid = _worker(bed, bed.proxy.database)
        self._known.set()

    def _die(self) -> None:
        assert self._known.wait(30)
        self.end()

    def end(self) -> None:
        """SIGKILL."""
        self._bed.zygote.kill(self._pid)


def _worker(bed: Bed, database: str) -> int:
    return bed.zygote.worker(
        database,
        lease_seconds=60.0,
        poll_seconds=0.2,
        allow_hosts=[bed.hooks.host],
        slots=4,
    )


def start(bed: Bed, plan: Swept) -> str:
    if plan.compiled:
        bed.connection.execute("DELETE FROM df.plans")
    workflow = plan.workflow.replace("{url}", f"http://{bed.hooks.host}")
    row = bed.connection.execute(f"SELECT df.start({workflow})".encode()).fetchone()
    assert row is not None
    if plan.sends is not None:
        bed.connection.execute("SELECT df.signal(%s, %s)", [row[0], plan.sends])
    return str(row[0])


def outcome(bed: Bed, plan: Swept, instance: str) -> tuple[str, object, Counter[str]]:
    """How it has ended, what it gave, and what is in the ledger, which is emptied."""
    row = ended(bed.connection, instance)
    until(lambda: bed.connection.execute("SELECT count(*) FROM df.fences").fetchone() == (0,), "no fence")
    words = Counter(
        what for (what,) in bed.connection.execute("DELETE FROM ledger RETURNING what").fetchall()
    )
    for word in plan.often & words.keys():
        words[word] = 1
    assert all(len(set(keys)) == 1 for keys in bed.hooks.keys.values()), "a request under another key"
    bed.hooks.keys.clear()
    return row["status"], row["result"], words


def sweep(bed: Bed, plan: Swept, cut: Cut, every: int) -> int:
    """Kill at each message in turn, or `every` so many; the number of kills."""
    first = Victim(bed)
    expected = outcome(bed, plan, start(bed, plan))
    first.end()
    assert expected[0] == plan.status
    message = kills = 0
    while True:
        instance = start(bed, plan)
        before = bed.proxy.cuts
        bed.proxy.arm(message, cut)
        victim = Victim(bed)
        until(
            lambda before=before, instance=instance: (
                bed.proxy.cuts > before or bed.connection.execute(OVER, [instance]).fetchone() == (True,)
            ),
            "the kill, or the end",
        )
        if bed.proxy.cuts == before:
            bed.proxy.disarm()
            victim.end()
            assert outcome(bed, plan, instance) == expected
            return kills
        successor = _worker(bed, bed.database)
        found = outcome(bed, plan, instance)
        assert found == expected, (plan.name, cut, message, bed.zygote.log.read_text()[-4000:])
        bed.zygote.kill(successor)
        message += every
        kills += 1


@pytest.mark.parametrize(
    ("plan", "cut", "every"),
    [
        pytest.param(SHORT, Cut.AFTER, 3, id="steps, after each third"),
        *(
            pytest.param(plan, cut, 1, id=f"{plan.name}, {cut.value}", marks=pytest.mark.long)
            for plan in PLANS
            for cut in (Cut.BEFORE, Cut.AFTER, Cut.BETWEEN)
        ),
    ],
)
def test_the_worker_is_killed_at_every_message(bed: Bed, plan: Swept, cut: Cut, every: int) -> None:
    began = time.monotonic()
    kills = sweep(bed, plan, cut, every)
    print(f"{plan.name}: {kills} kills {cut.value} a message, {time.monotonic() - began:.1f} s")  # noqa: T201
    assert kills * every > 10
