"""Workers and PostgreSQL are killed under load, at moments left to chance; then every effect is counted.

`--kills 1000` is the long run: as many SIGKILLs of workers, and one of PostgreSQL for each 20 of them.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final, LiteralString

from bench.measure import Connection, Figure, Setup, connect, number, until
from dfc.executor.migrate import install
from tests.e2e.harness import Hooks, chance
from tests.postgres import DURABLE, Server
from tests.sweep.zygote import Zygote

WORKERS: Final = 2
WORKER_KILLS_PER_SERVER_KILL: Final = 20
UNFINISHED_MIN: Final = 30
BATCH: Final = 20
SECONDS_MAX: Final = 300.0
UNFINISHED: LiteralString = "SELECT count(*) FROM df.instances WHERE completed_at IS NULL"
JOURNAL: LiteralString = "SELECT last_value FROM df.journal"

PREPARATION: Final = """
CREATE TABLE ledger (run bigint, step text);
CREATE SEQUENCE runs;
CREATE FUNCTION put(what text) RETURNS text LANGUAGE sql AS
  $$ SELECT df.sql(format('INSERT INTO ledger SELECT $first, %L', what)) $$;
SELECT df.define('child', 'INSERT INTO ledger SELECT ($input ->> ''run'')::bigint, ''child''');
"""
WORKFLOW: Final = """
df.step('first', 'INSERT INTO ledger SELECT nextval(''runs''), ''first'' RETURNING run')
~> (put('left') & put('right'))
~> df.if('SELECT $first > 0', put('yes'), put('no'))
~> df.race('SELECT pg_sleep(60)' ~> put('slow'), put('fast'))
~> df.loop(put('round') ~> df.if('SELECT count(*) > 2 FROM ledger WHERE run = $first AND step = ''round''',
     df.break(), put('again')))
~> df.map('SELECT n FROM generate_series(1, 3) AS n',
     'INSERT INTO ledger SELECT $first, ''item '' || $item.n')
~> df.atomic(put('one') ~> put('two'))
~> df.retry(put('try') ~> 'SELECT 1 / (count(*) - 1) FROM ledger WHERE run = $first AND step = ''try''',
     max_attempts => 3, retry_on => ARRAY['all'], backoff => 0.05)
~> df.try(df.compensate(put('do'), put('undo')) ~> 'SELECT 1 / 0', put('catch'), put('finally'))
~> df.timeout('SELECT pg_sleep(60)', 0.1, put('late'))
~> df.sleep(0.1) ~> df.wait_for_signal('go') ~> put('signalled')
~> df.call('child', '{"run": "$first"}')
~> df.step('call', df.http({url} || $$/$first$$, 'POST', '{}'))
~> df.step('called', 'INSERT INTO ledger SELECT $first, ''called '' || $call.status')
"""
ONCE: Final = (
    *("first", "left", "right", "yes", "fast", "item 1", "item 2", "item 3", "one", "two", "do", "undo"),
    *("catch", "finally", "late", "signalled", "child", "called 200"),
)
EXPECTED: Final = Counter([*ONCE] + ["round"] * 3 + ["again"] * 2 + ["try"] * 2)


@dataclass(kw_only=True)
class _Run:
    """What happens, counted."""

    database: str
    hooks: Hooks
    zygote: Zygote
    moments: Random
    workers: list[int] = field(default_factory=list[int])
    started: int = 0
    killed: int = 0
    progressed: int = 0
    server_kills: int = 0

    def replace(self) -> None:
        """As many workers as there are to be."""
        self.workers = [pid for pid in self.workers if self.zygote.alive(pid)]
        while len(self.workers) < WORKERS:
            self.workers.append(
                self.zygote.worker(
                    self.database,
                    slots=4,
                    connections_max=4,
                    lease_seconds=5.0,
                    allow_hosts=[self.hooks.host],
                )
            )

    def load(self, connection: Connection) -> None:
        """Start workflows while few are left."""
        if number(connection, UNFINISHED) >= UNFINISHED_MIN:
            return
        text = WORKFLOW.replace("{url}", f"'http://{self.hooks.host}'")
        start = f"SELECT df.signal(df.start({text}), 'go') FROM generate_series(1, {BATCH})"
        connection.execute(start.encode())
        self.started += BATCH

    def kill(self, connection: Connection) -> None:
        """Kill a worker a few checkpoints from now."""
        before = number(connection, JOURNAL)
        goal = before + self.moments.randrange(0, 30)
        with contextlib.suppress(TimeoutError):
            until(lambda: number(connection, JOURNAL) >= goal, 5.0)
        victim = self.workers.pop(self.moments.randrange(len(self.workers)))
        self.killed += self.zygote.kill(victim)
        self.progressed += number(connection, JOURNAL) > before


def chaos(setup: Setup) -> list[Figure]:
    """The long run, and what was lost or doubled in it."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        server = Server("18", DURABLE)
        stack.callback(server.remove)
        server.start()
        install(server.url())
        hooks = stack.enter_context(Hooks())
        zygote = stack.enter_context(Zygote(setup.folder / "workers.log", park_seconds=5.0))
        run = _Run(database=server.url(), hooks=hooks, zygote=zygote, moments=chance())
        with connect(server.url()) as connection:
            connection.execute(PREPARATION.encode())
            run.load(connection)
            run.replace()
            _wait_for_progress(connection)  # it is compiled now
        while run.killed < setup.kills:
            with connect(server.url()) as connection:
                due = (run.server_kills + 1) * WORKER_KILLS_PER_SERVER_KILL
                while run.killed < min(due, setup.kills):
                    run.load(connection)
                    run.replace()
                    run.kill(connection)
                run.load(connection)
                run.replace()
                _wait_for_progress(connection)
            server.kill()
            run.server_kills += 1
            server.start()
        with connect(server.url()) as connection:

            def over() -> bool:
                run.replace()
                return number(connection, UNFINISHED) == 0

            until(over, SECONDS_MAX, 0.1)
            return _counted(connection, run, time.monotonic() - began)


def _wait_for_progress(connection: Connection) -> None:
    before = number(connection, JOURNAL)
    until(lambda: number(connection, JOURNAL) > before, SECONDS_MAX)


def _counted(connection: Connection, run: _Run, seconds: float) -> list[Figure]:
    rows = connection.execute("SELECT run, array_agg(step) FROM ledger GROUP BY run").fetchall()
    found: list[Counter[str]] = [Counter(steps) for _, steps in rows]
    lost = sum((EXPECTED - each).total() for each in found) + (run.started - len(found)) * EXPECTED.total()
    doubled = sum((each - EXPECTED).total() for each in found)
    statuses = connection.execute(
        "SELECT status, count(*) FROM df.instances WHERE parent IS NULL GROUP BY status"
    ).fetchall()
    keys = [set(sent) for sent in run.hooks.keys.values()]
    requests = sum(map(len, run.hooks.keys.values()))
    effects = sum(each.total() for each in found)
    counts: list[tuple[str, float, str]] = [
        (
            "chaos: SIGKILLs of workers",
            run.killed,
            f"{seconds:.0f} s; progress before {run.progressed} of them",
        ),
        ("chaos: SIGKILLs of PostgreSQL", run.server_kills, "progress before each"),
        ("chaos: workflows", run.started, ", ".join(f"{count} {status}" for status, count in statuses)),
        ("chaos: effects", effects, f"{EXPECTED.total()} a workflow, all constructs"),
        ("chaos: effects lost", lost, "must be 0"),
        ("chaos: effects doubled", doubled, "must be 0"),
        ("chaos: requests", len(keys), f"{requests} times sent"),
        ("chaos: requests under two keys", sum(len(each) != 1 for each in keys), "must be 0"),
        ("chaos: requests never sent", run.started - len(keys), "must be 0"),
    ]
    return [Figure(name=name, value=f"{count:,.0f}", number=count, note=note) for name, count, note in counts]
