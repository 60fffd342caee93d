"""The process in which a suspect runs: `python -m dfc.executor.suspect_child` (suspects.py: the other side).

One JSON object a line on standard input: the instance first, then what comes for it. One line on standard
output: how it came to its end. It registers nowhere; the fence is that of the worker that has started it, and
when that is gone, so is this process.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import sys
import threading
from collections import OrderedDict
from typing import Any

import psycopg

from dfc.executor.admission import introduce
from dfc.executor.claim import Claim
from dfc.executor.compilation import CompilerProcess
from dfc.executor.connections import StepConnections
from dfc.executor.control import Control
from dfc.executor.drive import Driver, Outcome
from dfc.executor.failures import FenceLost, Transient
from dfc.executor.limited import limited
from dfc.executor.plans import Plans, fail_unforeseen
from dfc.executor.recording import PostgresJournals, Recorder
from dfc.executor.runners.http import HttpSender, OutboundPolicy
from dfc.executor.runners.http_mock import mock_as_written
from dfc.executor.runners.sql import PostgresSql
from dfc.executor.session import ConnectionLost, ServerError
from dfc.executor.store import ClaimedInstance, PostgresStore
from dfc.executor.store_elsewhere import ElsewhereStore
from dfc.executor.suspects import UNREACHABLE


class _Ears:
    """What comes for the instance, from a thread: the driver is told, as soon as there is one."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._known: list[dict[str, Any]] = []
        self._driver: Driver | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def speak_to(self, driver: Driver) -> None:
        """Tell the driver what has come and what will."""
        self._driver = driver
        for news in self._known:
            _tell(driver, news)

    @property
    def cancel_reason(self) -> str | None:
        """Why the instance is to be cancelled, where that has been said."""
        return next((str(news["cancel"]) for news in self._known if "cancel" in news), None)

    def _listen(self) -> None:
        for line in sys.stdin:
            self._loop.call_soon_threadsafe(self._hear, json.loads(line))
        os._exit(0)  # The worker is gone, and what it held is somebody else's.

    def _hear(self, news: dict[str, Any]) -> None:
        self._known.append(news)
        if self._driver is not None:
            _tell(self._driver, news)


def _tell(driver: Driver, news: dict[str, Any]) -> None:
    match news:
        case {"cancel": reason}:
            driver.cancel(str(reason))
        case {"pause": paused}:
            driver.pause(bool(paused))
        case {"release": interrupt}:
            driver.release(interrupt=bool(interrupt))
        case {"clock_set": _}:
            driver.clock_set()
        case _:
            driver.called()


async def _main() -> str:
    given: dict[str, Any] = json.loads(sys.stdin.readline())
    ears = _Ears()
    control = Control(given["database"], on_lost=lambda _: None)
    compiler = CompilerProcess()
    steps: StepConnections | None = None
    http: HttpSender | None = None
    try:
        # The worker was admitted; what has come since (a newer compiler) ends it no more than its other work.
        role, database = await introduce(await control.open())
        store = PostgresStore(control)
        steps = StepConnections(
            given["database"], role=role, database=database, connections_max=given["connections_max"]
        )
        policy = OutboundPolicy(
            allow_hosts=tuple(given["allow_hosts"]), allow_loopback=given["allow_loopback"]
        )
        mock = None if given["http_mock"] is None else mock_as_written(given["http_mock"])
        http = HttpSender(store, policy, mock=mock)
        sql = PostgresSql(steps, ElsewhereStore(control))
        claimed = _claimed(given)
        recorder = None
        if claimed.claim.recorded:
            recorder = Recorder(claimed.claim, PostgresJournals(control), version=given["version"])
        return (await _drive(claimed, ears, store, sql, http, compiler, recorder)).value
    except (psycopg.Error, OSError, ConnectionLost, ServerError, Transient):
        return UNREACHABLE
    finally:
        control.close()
        if steps is not None:
            steps.close()
        if http is not None:
            await http.close()
        await compiler.close()


async def _drive(
    claimed: ClaimedInstance,
    ears: _Ears,
    store: PostgresStore,
    sql: PostgresSql,
    http: HttpSender,
    compiler: CompilerProcess,
    recorder: Recorder | None,
) -> Outcome:
    claim = claimed.claim
    try:
        plans = Plans(store, compiler, OrderedDict())
        plan = await plans.plan_of(claimed, lambda: ears.cancel_reason)
        if plan is None:
            return Outcome.ENDED
        driver = Driver(
            claim=claim,
            plan=limited(plan, claim.timeout_seconds),
            store=store,
            sql=sql,
            http=http,
            elsewhere=sql.elsewhere,
            recorder=recorder,
        )
        ears.speak_to(driver)
        return await driver.run()
    except FenceLost:
        return Outcome.LOST
    except Transient:
        raise
    except Exception as error:
        await fail_unforeseen(store, claim, error)
        return Outcome.ENDED


def _claimed(given: dict[str, Any]) -> ClaimedInstance:
    claim: dict[str, Any] = dict(given["claim"])
    claim["token"] = base64.b64decode(claim["token"])
    return ClaimedInstance(
        claim=Claim(**claim),
        expression=given["expression"],
        expression_hash=base64.b64decode(given["expression_hash"]),
        plan_hash=given["plan_hash"],
        variables=given["variables"],
    )


def main() -> None:
    """Run one suspect."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    answer = asyncio.run(_main())
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # A thread still listens.


if __name__ == "__main__":
    main()
