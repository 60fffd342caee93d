"""How long until workflows go on after a death: the time to the next effect of each that was under way."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Generator
from typing import Final

import psycopg

from bench.measure import Figure, Setup, connect, quantile, until
from dfc.executor.limits import LEASE_SECONDS
from dfc.executor.migrate import install
from tests.deaths.replica import KEPT, Replica, either, stream
from tests.e2e.harness import WorkerProcess
from tests.postgres import DURABLE, Server

INSTANCES: Final = 4
BEAT: Final = "INSERT INTO beats SELECT {n}, pg_backend_pid(), clock_timestamp() FROM pg_sleep(0.005)"
SECONDS_MAX: Final = 60.0
SLOW_ROUNDS_SHARE: Final = 4
"""Of a death that takes many seconds so many times fewer rounds are made."""

HOLDER: Final = (
    "SELECT w.pid FROM df.fences f JOIN df.workers w ON w.id = f.worker GROUP BY w.pid HAVING count(*) = %s"
)
NEXT: Final = (
    "SELECT extract(epoch FROM min(at))::float8 FROM beats WHERE extract(epoch FROM at) > %s"
    " AND NOT pid = ANY (%s) GROUP BY n"
)


def recovery(setup: Setup) -> list[Figure]:
    """All deaths, each with its p50 and p99."""
    slow = max(1, setup.deaths // SLOW_ROUNDS_SHARE)
    with _running() as (server, workers):
        figures = [
            *_figures("clean shutdown of the worker", _deaths(server, workers, setup.deaths, _ask_to_stop)),
            *_figures("SIGKILL of the worker", _deaths(server, workers, setup.deaths, _kill), "target 1 s"),
            *_figures(
                "SIGSTOP of the worker",
                _deaths(server, workers, slow, _pause),
                f"the lease is {LEASE_SECONDS:g} s",
            ),
            *_figures(
                "SIGKILL of PostgreSQL",
                [seconds for _ in range(setup.deaths) for seconds in _restart(server)],
                "with its start, done at once",
            ),
        ]
    taken = [seconds for _ in range(slow) for seconds in _fail_over()]
    return figures + _figures("fail-over to a replica", taken, "with pg_ctl promote, called at once")


def _figures(death: str, taken: list[float], note: str = "") -> list[Figure]:
    return [
        Figure(
            name=f"next effect after {death}, {label}",
            value=f"{quantile(taken, share) * 1000:,.0f} ms",
            number=quantile(taken, share),
            note=f"{note + '; ' if note else ''}{len(taken)} samples",
        )
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]


@contextlib.contextmanager
def _running() -> Generator[tuple[Server, list[WorkerProcess]]]:
    """A durable server, two workers, and instances that have effects all the time."""
    with contextlib.ExitStack() as stack:
        server = Server("18", DURABLE)
        stack.callback(server.remove)
        server.start()
        install(server.url())
        workers = [stack.enter_context(WorkerProcess(server.url()))]
        _begin(server.url())
        workers.append(stack.enter_context(WorkerProcess(server.url())))
        yield server, workers


def _begin(database: str) -> None:
    with connect(database) as connection:
        connection.execute("CREATE TABLE beats (n int, pid int, at timestamptz)")
        for n in range(INSTANCES):
            connection.execute("SELECT df.start(df.loop(%s))", [BEAT.format(n=n)])
        until(lambda: len(_next(connection, 0.0, [])) == INSTANCES, SECONDS_MAX)


def _next(connection: psycopg.Connection[tuple[object, ...]], after: float, but: list[int]) -> list[float]:
    return [float(str(at)) for (at,) in connection.execute(NEXT, [after, but]).fetchall()]


def _deaths(
    server: Server,
    workers: list[WorkerProcess],
    rounds: int,
    die: Callable[[WorkerProcess], Callable[[], None]],
) -> list[float]:
    """The worker that holds all instances dies in each round; the other one takes over, and is the next."""
    taken: list[float] = []
    with connect(server.url()) as connection:
        for _ in range(rounds):
            holder: list[tuple[object, ...]] = []

            def look(holder: list[tuple[object, ...]] = holder) -> bool:
                holder[:] = connection.execute(HOLDER, [INSTANCES]).fetchall()
                alive = connection.execute("SELECT count(*) FROM df.workers").fetchone()
                return len(holder) == 1 and alive == (len(workers),)

            until(look, SECONDS_MAX)
            [victim] = [worker for worker in workers if (worker.pid,) == holder[0]]
            connection.execute("DELETE FROM beats")
            until(lambda: len(_next(connection, 0.0, [])) == INSTANCES, SECONDS_MAX)
            pids = [pid for (pid,) in connection.execute("SELECT DISTINCT pid FROM beats").fetchall()]
            began = time.time()
            clean_up = die(victim)
            until(lambda at=began, but=pids: len(_next(connection, at, but)) == INSTANCES, SECONDS_MAX)
            taken += [at - began for at in _next(connection, began, pids)]
            clean_up()
            victim.start()
    return taken


def _ask_to_stop(victim: WorkerProcess) -> Callable[[], None]:
    os.kill(victim.pid, signal.SIGTERM)
    return lambda: until(lambda: not victim.alive, SECONDS_MAX)


def _kill(victim: WorkerProcess) -> Callable[[], None]:
    victim.kill()
    return lambda: None


def _pause(victim: WorkerProcess) -> Callable[[], None]:
    os.kill(victim.pid, signal.SIGSTOP)
    return lambda: _wake_and_kill(victim)


def _wake_and_kill(victim: WorkerProcess) -> None:
    os.kill(victim.pid, signal.SIGCONT)
    victim.kill()


def _restart(server: Server) -> list[float]:
    with connect(server.url()) as connection:
        connection.execute("DELETE FROM beats")
        until(lambda: len(_next(connection, 0.0, [])) == INSTANCES, SECONDS_MAX)
    began = time.time()
    server.kill()
    server.start()
    return _beats_after(server.url(), began)


def _fail_over() -> list[float]:
    with contextlib.ExitStack() as stack:
        primary = Server("18", {**KEPT, "fsync": "on"})
        stack.callback(primary.remove)
        primary.start()
        install(primary.url())
        replica = Replica(primary)
        stack.callback(replica.remove)
        replica.start()
        stream(primary, replica.folder, synchronous=True)
        database = either(primary, replica)
        stack.enter_context(WorkerProcess(database))
        _begin(database)
        began = time.time()
        primary.kill()
        replica.promote()
        return _beats_after(database, began)


def _beats_after(database: str, began: float) -> list[float]:
    with connect(database) as connection:
        until(lambda: len(_next(connection, began, [])) == INSTANCES, SECONDS_MAX)
        return [at - began for at in _next(connection, began, [])]
