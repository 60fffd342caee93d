"""What is promised of signals: whoever is killed whenever, each that was sent is taken once, in its order."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e import harness
from tests.e2e.harness import Connection, WorkerProcess, connected, wait_until

LIMITS = ("--slots", "4", "--connections", "4", "--lease", "2")
SECONDS_MAX = 240

LISTENER = """
SELECT df.start(df.loop(
  (df.wait_for_signal('number') |=> 's')
  ~> 'INSERT INTO taken (instance, number) VALUES (''{sys_instance_id}'', ($s.data)::text::int)',
  'SELECT ($s.data)::text::int > 0'))
"""
"""Writes down each number it is sent, until it is sent a 0."""


class Sender(threading.Thread):
    """Sends numbers to instances, now and then in a transaction that is rolled back."""

    def __init__(self, database: str, instances: list[str], many: int, seed: int) -> None:
        super().__init__()
        self.database, self.instances, self.many = database, instances, many
        self.random = random.Random(seed)
        self.sent: dict[str, list[int]] = {instance: [] for instance in instances}
        self.rolled_back = 0
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            with connected(self.database) as connection:
                for number in range(1, self.many + 1):
                    self._send(connection, self.random.choice(self.instances), number)
                    time.sleep(self.random.choice((0, 0, 0.02)))
                for instance in self.instances:
                    connection.execute("SELECT df.signal(%s, 'number', '0')", [instance])
        except BaseException as problem:
            self.problem = problem

    def _send(self, connection: Connection, instance: str, number: int) -> None:
        again = self.random.random() < 0.2
        key = f"key {number}" if again else None
        send = "SELECT df.signal(%s, 'number', %s, %s)"
        connection.execute("BEGIN")
        connection.execute(send, [instance, str(number), key])
        if self.random.random() < 0.1:
            connection.execute("ROLLBACK")
            self.rolled_back += 1
            return
        connection.execute("COMMIT")
        if again:
            # Whoever is not sure that it was sent sends it again, under the same key.
            connection.execute(send, [instance, str(number), key])
        self.sent[instance].append(number)


@pytest.fixture
def session(database: str) -> Iterator[Connection]:
    with connected(database) as connection:
        connection.execute("CREATE TABLE taken (id serial, instance text, number int)")
        yield connection


def _started(session: Connection) -> str:
    row = session.execute(LISTENER.encode()).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(
    ("instances", "signals", "fewest"), [(6, 150, 4), pytest.param(20, 6000, 60, marks=pytest.mark.long)]
)
def test_each_signal_is_taken_once(
    database: str, session: Connection, instances: int, signals: int, fewest: int
) -> None:
    started = [_started(session) for _ in range(instances)]
    sender = Sender(database, started, signals, 1)
    moments = harness.chance()
    kills = 0
    deadline = time.monotonic() + SECONDS_MAX
    with WorkerProcess(database, LIMITS) as one, WorkerProcess(database, LIMITS) as other:
        sender.start()
        while sender.is_alive() or kills < fewest:
            assert time.monotonic() < deadline, one.log.read_text()[-3000:]
            time.sleep(moments.random() * 0.8)
            victim = moments.choice((one, other))
            kills += victim.kill()
            victim.start()
        sender.join()
        wait_until(lambda: harness.ended(session) == instances, 120, "the end")
    assert sender.problem is None
    rows = session.execute("SELECT instance, number FROM taken WHERE number > 0 ORDER BY id").fetchall()
    taken: dict[str, list[int]] = {instance: [] for instance in started}
    for instance, number in rows:
        taken[instance].append(number)
    assert taken == sender.sent
    assert sender.rolled_back and kills >= fewest
    assert harness.statuses(session) == {"completed": instances}
    assert session.execute("SELECT count(*) FROM df.signals").fetchone() == (0,)
    assert session.execute("SELECT count(*) FROM df.requests").fetchone() == (0,)


def test_a_signal_to_all_of_a_label(database: str, session: Connection) -> None:
    """To those of the caller that have not ended, once under a key; nobody there is said."""
    start = "SELECT df.start(df.wait_for_signal('go') |=> 's' ~> 'SELECT $s.data->>''n'' AS n', %s)"
    ids = [session.execute(start.encode(), [label]).fetchone() for label in ("run", "run", "other", "run")]
    assert all(ids)
    said: list[str] = []
    session.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
    with WorkerProcess(database, LIMITS):
        session.execute("SELECT df.cancel(%s)", ids[3])
        wait_until(lambda: harness.ended(session) == 1, 60, "the end of the cancelled one")
        send = "SELECT df.signal_all('run', 'go', '{\"n\": 7}'::jsonb, 'key')"
        assert session.execute(send.encode()).fetchone() == (2,)
        wait_until(lambda: harness.ended(session) == 3, 60, "the end of those that were signalled")
    rows = session.execute(
        "SELECT label, status, result #>> '{rows,0,n}' FROM df.instances ORDER BY id"
    ).fetchall()
    assert rows[:2] == [("run", "completed", "7")] * 2
    assert rows[2][0] == "other" and rows[2][1] in ("pending", "running")
    assert rows[3][1] == "cancelled"
    said.clear()
    assert session.execute("SELECT df.signal_all('run', 'go')").fetchone() == (0,)
    assert said[0] == 'no instance with label "run" runs: nobody reads signal "go"'
