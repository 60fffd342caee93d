"""Laws on the real thing: who stops when changes nothing, loops leave a bounded number of rows."""

from __future__ import annotations

import json
import time
from collections import Counter
from random import Random
from typing import Any

import psycopg
import pytest

from tests.e2e.harness import WorkerProcess, connected, wait_until

Session = psycopg.Connection[tuple[Any, ...]]


class Writer:
    """Random workflows whose outcome is certain; each of their steps writes into the ledger of its run."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._names = 0

    def workflow(self) -> str:
        """The text of an expression; `RUN` stands for the number of the run."""
        return " ~> ".join(self._part(3) for _ in range(3))

    def _name(self) -> str:
        self._names += 1
        return f"n{self._names}"

    def _put(self, more: str = "") -> str:
        name = self._name()
        nap = self._random.choice(("", "", " FROM pg_sleep(0.02)"))
        return f"'INSERT INTO ledger SELECT RUN, ''{name}''{more}{nap}'"

    def _part(self, depth: int) -> str:
        if depth == 0:
            return self._put()
        pick = self._random.choice(
            (
                "put",
                "chain",
                "if",
                "loop",
                "map",
                "try",
                "retry",
                "atomic",
                "undo",
                "join",
                "group",
                "continue",
            )
        )
        match pick:
            case "chain":
                return f"({self._part(depth - 1)} ~> {self._part(depth - 1)})"
            case "if":
                holds = self._random.choice(("true", "false"))
                return f"df.if('SELECT {holds}', {self._part(depth - 1)}, {self._part(depth - 1)})"
            case "loop":
                name, rounds = self._name(), self._random.randint(1, 12)
                count = f"df.step('{name}', 'SELECT coalesce(${name}?, 0) + 1 AS n')"
                body = f"{count} ~> {self._part(depth - 1)}"
                return f"df.loop({body}, 'SELECT ${name} < {rounds}')"
            case "map":
                items = self._random.randint(0, 7)
                query = f"'SELECT g FROM generate_series(1, {items}) AS g'"
                body = self._put(" || $item.g") if self._random.random() < 0.5 else self._part(depth - 1)
                return f"df.map({query}, {body}, max_parallel => {self._random.randint(1, 4)})"
            case "try":
                fails = "~> 'SELECT 1/0'" if self._random.random() < 0.6 else ""
                return f"df.try({self._undoable()} {fails}, {self._part(depth - 1)}, {self._put()})"
            case "retry":
                name = self._name()
                # The row of the failed attempt stays: what committed has happened.
                count = f"df.step('{name}', 'INSERT INTO ledger SELECT RUN, ''{name}'' RETURNING 1')"
                fails = f"'SELECT 1 / (count(*) - 1) FROM ledger WHERE run = RUN AND what = ''{name}'''"
                return f"df.retry({count} ~> {fails}, 3, backoff => 0.01)"
            case "atomic":
                return f"df.atomic({self._put()} ~> df.if('SELECT true', {self._put()}, {self._put()}))"
            case "undo":
                return self._undoable()
            case "join":
                return f"df.join({self._part(depth - 1)}, {self._part(depth - 1)}, {self._put()})"
            case "group":
                both = f"{self._part(depth - 1)}, {self._part(depth - 1)}"
                return f"df.join(ARRAY[{both}], on_failure => 'cancel')"
            case "continue":
                return f"df.step('{self._name()}', 'SELECT 1/0', on_error => 'continue') ~> {self._put()}"
            case _:
                return self._put()

    def _undoable(self) -> str:
        return f"df.compensate({self._put()}, {self._put()})"


def _start(session: Session, texts: list[str], first: int) -> dict[int, str]:
    started: dict[int, str] = {}
    for number, text in enumerate(texts, start=first):
        row = session.execute(f"SELECT df.start({text.replace('RUN', str(number))})".encode()).fetchone()
        assert row is not None
        started[number] = row[0]
    return started


def _ended(session: Session, ids: dict[int, str]) -> int:
    row = session.execute(
        "SELECT count(*) FROM df.instances WHERE id = ANY (%s) AND completed_at IS NOT NULL",
        [list(ids.values())],
    ).fetchone()
    assert row is not None
    return row[0]


def _outcomes(session: Session, ids: dict[int, str]) -> list[tuple[str, Any, str, Counter[str]]]:
    found: list[tuple[str, Any, str, Counter[str]]] = []
    for number, id in ids.items():
        row = session.execute("SELECT status, result, error FROM df.instances WHERE id = %s", [id]).fetchone()
        assert row is not None
        ledger = session.execute("SELECT what FROM ledger WHERE run = %s", [number]).fetchall()
        error = "" if row[2] is None else row[2]["sqlstate"]
        found.append((row[0], json.dumps(row[1]), error, Counter(what for (what,) in ledger)))
    return found


@pytest.mark.parametrize(
    ("seed", "many", "most"), [(1, 8, 5), pytest.param(2, 25, 40, marks=pytest.mark.long)]
)
def test_whoever_stops_when_the_outcome_is_the_same(
    shared_database: str, seed: int, many: int, most: int
) -> None:
    random = Random(seed)
    texts = [Writer(random).workflow() for _ in range(many)]
    # Every third one fails in the end, so that what can be undone is.
    texts = [f"{text} ~> 'SELECT 1/0'" if number % 3 == 0 else text for number, text in enumerate(texts)]
    with connected(shared_database) as session:
        session.execute("CREATE TABLE IF NOT EXISTS ledger (run int, what text)")
        with WorkerProcess(shared_database) as worker:
            calm = _start(session, texts, seed * 1000)
            wait_until(lambda: _ended(session, calm) == len(texts), 240, "the end of the undisturbed runs")
            worker.terminate()
        expected = _outcomes(session, calm)
        stops = 0
        with WorkerProcess(shared_database) as one, WorkerProcess(shared_database) as other:
            disturbed = _start(session, texts, seed * 1000 + 500)
            deadline = time.monotonic() + 400
            while _ended(session, disturbed) < len(texts):
                assert time.monotonic() < deadline, "they do not come to their end"
                time.sleep(random.uniform(0.3, 1.2))
                worker = random.choice((one, other))
                if worker.alive and stops < most:
                    stops += worker.kill() if random.random() < 0.7 else worker.terminate() >= 0
                one.start()
                other.start()
        assert stops >= 3, "too few stops to say anything"
        for text, calmly, disturbedly in zip(texts, expected, _outcomes(session, disturbed), strict=True):
            assert disturbedly == calmly, text


def test_a_loop_leaves_a_bounded_number_of_rows(shared_database: str) -> None:
    with WorkerProcess(shared_database), connected(shared_database) as session:
        [ids] = [
            _start(
                session,
                ["df.loop(df.step('r', 'SELECT coalesce($r?, 0) + 1 AS n'), 'SELECT $r < 200')"],
                1,
            )
        ]
        most = 0

        def rows() -> bool:
            nonlocal most
            row = session.execute(
                "SELECT count(*) FROM df.checkpoints WHERE instance_id = %s", [ids[1]]
            ).fetchone()
            assert row is not None
            most = max(most, row[0])
            return _ended(session, ids) == 1

        wait_until(rows, 120, "the end of the loop")
        assert 0 < most <= 60
        row = session.execute("SELECT result FROM df.instances WHERE id = %s", [ids[1]]).fetchone()
        assert row == ({"rows": [{"n": 200}], "row_count": 1},)
