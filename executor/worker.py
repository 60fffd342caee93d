"""The worker: claims instances, drives them, and lives with the death of others and of the database.

A `Worker` has one `_Life` after the other: a life is one registration. When the database goes away, or
another worker has declared this one dead, everything under way is dropped and a new life begins; the fences
see to it that nothing of the old one can still commit.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections import OrderedDict
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import psycopg

from dfc.compiler.plan import COMPILER_VERSION, Plan
from dfc.executor import limits, retry
from dfc.executor.admission import Refused, admit
from dfc.executor.compilation import CompilerProcess
from dfc.executor.connections import StepConnections
from dfc.executor.control import Control, StoreError
from dfc.executor.crashpoints import Crashpoints
from dfc.executor.drive import Driver, Outcome
from dfc.executor.failures import FenceLost, Transient
from dfc.executor.heartbeat import Heartbeat, Registration
from dfc.executor.limited import limited
from dfc.executor.plans import Plans, fail_unforeseen, one_line
from dfc.executor.recording import PostgresJournals, Recorder
from dfc.executor.retention import retain_for_ever
from dfc.executor.runners.http import HttpSender, OutboundPolicy
from dfc.executor.runners.http_mock import HttpMock
from dfc.executor.runners.sql import PostgresSql
from dfc.executor.schedules import Schedules
from dfc.executor.session import ConnectionLost, Message, ServerError
from dfc.executor.store import FORMATS, ClaimedInstance, PostgresStore, Told
from dfc.executor.store_elsewhere import ElsewhereStore
from dfc.executor.suspects import Alone, AloneSettings, Lost
from dfc.executor.sweep import sweep_for_ever
from dfc.executor.watch import watch_for_ever

FOLLOW_UP_SECONDS: Final = 0.03
"""A notification stands for all that were to be sent in its 20 ms: look again a little later."""

INTERRUPT_SECONDS_MAX: Final = 6.0
_log = logging.getLogger("dfc.worker")


class _Lost(Exception):
    """The registration or the database is gone; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker runs. `database` is a libpq connection string or URI; hosts are `host` or `host:port`.

    Without `queues` it serves all of them. With `http_mock` no request reaches the network.
    """

    database: str
    slots: int = limits.SLOTS
    connections_max: int = limits.CONNECTIONS_MAX
    lease_seconds: float = limits.LEASE_SECONDS
    poll_seconds: float = limits.POLL_SECONDS
    shutdown_seconds: float = limits.SHUTDOWN_SECONDS
    allow_hosts: tuple[str, ...] = ()
    allow_loopback: bool = False
    queues: tuple[str, ...] = ()
    name: str = field(default_factory=socket.gethostname)
    http_mock: HttpMock | None = None


@dataclass(slots=True)
class _Active:
    """An instance that is being driven. `driver` is None until its plan is at hand."""

    claimed: ClaimedInstance
    cancel_reason: str | None
    paused: bool = False
    task: asyncio.Task[None] | None = None
    driver: Driver | Alone | None = None


async def run_until_signal(worker: Worker) -> None:
    """Run a worker until SIGTERM or SIGINT. Raises Refused."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    try:
        await worker.run()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class Worker:
    """Runs until `stop` is called. Also for embedding in another program's event loop."""

    def __init__(self, settings: WorkerSettings, *, crashpoints: Crashpoints | None = None) -> None:
        self._settings = settings
        self._crashpoints = crashpoints
        self._stopping = asyncio.Event()
        self._known: OrderedDict[str, Plan] = OrderedDict()
        # Of suspects: it outlives the database, so it is known here when that has ended over one.
        self._lost_over: dict[str, Lost] = {}
        self.ready = asyncio.Event()
        self.worker_id: int | None = None

    def stop(self) -> None:
        """Stop claiming, let running steps finish, hand over, return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Raises Refused when this worker must not run here, or cannot reach the database at first."""
        compiler = CompilerProcess()
        failures = 0
        try:
            while not self._stopping.is_set():
                life = _Life(
                    self._settings, compiler, self._known, self._stopping, self._crashpoints, self._lost_over
                )
                try:
                    self.worker_id = await life.begin()
                    self.ready.set()
                    failures = 0
                    await life.live()
                except (psycopg.Error, OSError, ConnectionLost, ServerError, _Lost) as error:
                    if not self.ready.is_set():
                        raise Refused(f"no connection to the database: {one_line(error)}") from None
                    failures += 1
                    _log.warning("database lost reason=%s", one_line(error))
                finally:
                    await life.end()
                if failures:
                    await self._pause(min(0.05 * 2.0**failures, limits.RECONNECT_SECONDS_MAX))
        finally:
            await compiler.close()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


class _Life:
    """One registration of a worker and all that happens under it."""

    def __init__(
        self,
        settings: WorkerSettings,
        compiler: CompilerProcess,
        known: OrderedDict[str, Plan],
        stopping: asyncio.Event,
        crashpoints: Crashpoints | None,
        lost_over: dict[str, Lost],
    ) -> None:
        self._settings = settings
        self._crashpoints = crashpoints
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._lost: str | None = None
        self._active: dict[str, _Active] = {}
        self._backlog = False
        self._look_until = 0.0
        # At once: the clock may have been set back while no worker was there.
        self._put_right_at = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._worker = 0
        self._heartbeat: Heartbeat | None = None
        self._control = Control(settings.database, on_lost=self._on_lost)
        self._store = PostgresStore(self._control)
        self._plans = Plans(self._store, compiler, known)
        self._journals = PostgresJournals(self._control)
        self._schedules = Schedules(self._control)
        self._steps: StepConnections | None = None
        self._sql: PostgresSql | None = None
        self._http: HttpSender | None = None
        self._sweeping: list[asyncio.Task[None]] = []
        self._turn_of_suspects = asyncio.Lock()
        self._lost_over = lost_over

    # Beginning and end

    async def begin(self) -> int:
        """Check the database, listen, register.

        Raises Refused, psycopg.Error, ConnectionLost, ServerError.
        """
        settings = self._settings
        listener = await self._control.open()
        role, database = await admit(listener)
        listener.on_notify = self._on_notify
        await listener.exchange(Message("LISTEN df_work"))
        self._steps = StepConnections(
            settings.database, role=role, database=database, connections_max=settings.connections_max
        )
        elsewhere = ElsewhereStore(self._control)
        self._sql = PostgresSql(self._steps, elsewhere)
        self._sweeping = [
            self._loop.create_task(sweep_for_ever(elsewhere, self._steps)),
            self._loop.create_task(retain_for_ever(self._control)),
        ]
        policy = OutboundPolicy(allow_hosts=settings.allow_hosts, allow_loopback=settings.allow_loopback)
        self._http = HttpSender(self._store, policy, mock=settings.http_mock)
        registration = Registration(
            host=settings.name,
            pid=os.getpid(),
            version=_version(),
            compiler_version=COMPILER_VERSION,
            plan_formats=FORMATS,
            lease_seconds=settings.lease_seconds,
            slots=settings.slots,
            roles=tuple(self._steps.roles),
            queues=settings.queues,
        )
        self._heartbeat = Heartbeat(
            settings.database, registration, self._on_lost_elsewhere, self._on_clock_elsewhere
        )
        self._worker = await asyncio.to_thread(self._heartbeat.start)
        _log.info(
            "registered worker=%s role=%s database=%s slots=%s", self._worker, role, database, settings.slots
        )
        return self._worker

    async def live(self) -> None:
        """Claim and drive until the worker is to stop, then hand over. Raises _Lost."""
        stopper = self._loop.create_task(self._stopping.wait())
        stopper.add_done_callback(lambda _: self._wake.set())
        others = [
            self._loop.create_task(self._schedules.run()),
            self._loop.create_task(
                watch_for_ever(self._control, self._worker, self._is_to_watch, self._on_death)
            ),
        ]
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                await self._put_right()
                found = await self._poll()
                await self._doze(found)
                if self._lost is not None:
                    raise _Lost(self._lost)
        finally:
            stopper.cancel()
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        await self._hand_over()

    async def end(self) -> None:
        """Drop what is left, at once."""
        for sweeping in self._sweeping:
            sweeping.cancel()
        for active in list(self._active.values()):
            if active.task is not None:
                active.task.cancel()
        self._control.close()
        if self._steps is not None:
            self._steps.close()
        tasks = [active.task for active in self._active.values() if active.task is not None]
        await asyncio.gather(*tasks, self._plans.close(), return_exceptions=True)
        if self._http is not None:
            await self._http.close()
        if self._heartbeat is not None:
            await asyncio.to_thread(self._heartbeat.stop, unregister=False)

    async def _hand_over(self) -> None:
        """Let running steps finish, interrupt what takes too long, give the fences up."""
        _log.info("stopping worker=%s instances=%s", self._worker, len(self._active))
        for interrupt, seconds in ((False, self._settings.shutdown_seconds), (True, INTERRUPT_SECONDS_MAX)):
            for active in list(self._active.values()):
                if active.driver is not None:
                    active.driver.release(interrupt=interrupt)
                elif active.task is not None:
                    active.task.cancel()
            tasks = [active.task for active in self._active.values() if active.task is not None]
            if tasks:
                await asyncio.wait(tasks, timeout=seconds)
        if self._heartbeat is not None:
            await asyncio.to_thread(self._heartbeat.stop, unregister=True)
            self._heartbeat = None
        _log.info("stopped worker=%s", self._worker)

    # Waking and claiming

    def _on_notify(self, _: str) -> None:
        self._look_until = self._loop.time() + FOLLOW_UP_SECONDS
        self._schedules.notice()
        self._wake.set()

    def _is_to_watch(self) -> bool:
        """Whether there are others whose instances could be taken over."""
        return self._heartbeat is not None and self._heartbeat.others and self._free() > 0

    def _on_death(self) -> None:
        """Another worker has died. What its last steps hold is free a little later."""
        self._look_until = self._loop.time() + limits.WATCH_SECONDS
        self._wake.set()

    def _on_lost(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        self._wake.set()

    def _on_lost_elsewhere(self, reason: str) -> None:
        self._loop.call_soon_threadsafe(self._on_silence, reason)

    def _on_silence(self, reason: str) -> None:
        """The registration is gone, and whoever waits for an answer may wait for ever: end that."""
        self._on_lost(reason)
        self._control.close()

    def _on_clock_elsewhere(self, seconds: float) -> None:
        self._loop.call_soon_threadsafe(self._on_clock, seconds)

    def _on_clock(self, seconds: float) -> None:
        """The database's clock has been set."""
        _log.warning("the database's clock was set by seconds=%.1f", seconds)
        for active in list(self._active.values()):
            if active.driver is not None:
                active.driver.clock_set()
        self._put_right_at = 0.0
        self._schedules.notice()
        self._wake.set()

    async def _put_right(self) -> None:
        """What waits in the database knows nothing of a clock that was set back. Raises _Lost."""
        if self._loop.time() < self._put_right_at:
            return
        try:
            await self._store.set_back()
        except (Transient, StoreError) as error:
            if isinstance(error, Transient) and not retry.is_lost(error.sqlstate):
                return  # the next time
            raise _Lost(self._lost or f"what waits could not be put right: {error}") from None
        self._put_right_at = self._loop.time() + limits.PUT_RIGHT_SECONDS

    async def _doze(self, found: bool) -> None:
        """Wait for a reason to look again.

        That is a notification, a free slot with a backlog, a parked instance that is due, or time.
        """
        soon = found or self._loop.time() < self._look_until
        seconds = FOLLOW_UP_SECONDS if soon else self._settings.poll_seconds
        self._alarm = self._loop.call_later(seconds, self._wake.set)
        self._set_alarm()
        try:
            await self._wake.wait()
        finally:
            self._alarm.cancel()

    def _set_alarm(self) -> None:
        """Look again when the next parked instance is due, if there is a slot for it."""
        due = self._store.wakes_at
        if due is None or self._alarm is None or due >= self._alarm.when() or not self._free():
            return
        self._alarm.cancel()
        self._alarm = self._loop.call_at(due, self._wake.set)

    async def _poll(self) -> bool:
        """Claim into the free slots, look for cancel requests. Whether anything was claimed."""
        assert self._steps is not None
        free = self._free()
        if free == 0 and not self._active:
            return False
        try:
            claimed, told = await self._store.poll(
                self._worker, self._steps.roles, claim_max=free, cancels=bool(self._active)
            )
        except (Transient, StoreError) as error:
            if isinstance(error, Transient) and not retry.is_lost(error.sqlstate):
                # Rolled back (a lock, a deadlock): nothing was claimed, and what runs is not concerned.
                _log.warning("claiming failed reason=%s", one_line(error))
                return True
            raise _Lost(self._lost or f"claiming failed: {error}") from None
        if free:
            self._backlog = len(claimed) == free
        for news in told:
            self._tell(news)
        for instance in claimed:
            self._begin(instance)
        return bool(claimed)

    def _free(self) -> int:
        """The slots to claim for.

        With a backlog it is cheaper to claim several at once than one for each slot that becomes free.
        """
        free = self._settings.slots - len(self._active)
        least = max(1, self._settings.slots // 4) if self._backlog and self._active else 1
        return free if free >= least else 0

    def _tell(self, told: Told) -> None:
        """Something has come for an instance."""
        active = self._active.get(told.instance)
        if active is None:
            return
        driver = active.driver
        match told.kind:
            case "cancel":
                active.cancel_reason = told.reason
                if driver is not None:
                    driver.cancel(told.reason or "")
            case "pause" | "resume":
                active.paused = told.kind == "pause"
                if driver is not None:
                    driver.pause(active.paused)
            case _:
                if driver is not None:
                    driver.called()

    def _begin(self, claimed: ClaimedInstance) -> None:
        active = _Active(claimed, claimed.claim.cancel_reason)
        self._active[claimed.claim.instance] = active
        active.task = self._loop.create_task(self._drive(active))

    def _ended(self, active: _Active) -> None:
        if self._active.get(active.claimed.claim.instance) is active:
            del self._active[active.claimed.claim.instance]
        if self._backlog and self._free():
            self._wake.set()
        # It may have been parked, or has made room for one that is due.
        self._set_alarm()

    # One instance

    async def _drive(self, active: _Active) -> None:
        claim = active.claimed.claim
        try:
            driver = await self._driver_of(active)
            if driver is None:
                return
            if active.cancel_reason is not None:
                driver.cancel(active.cancel_reason)
            driver.pause(active.paused)
            active.driver = driver
            outcome = await driver.run()
            if outcome is Outcome.LOST:
                _log.info("fence lost instance=%s", claim.instance)
        except (FenceLost, Transient) as error:
            _log.info("dropped instance=%s reason=%s", claim.instance, one_line(error))
        except Exception as error:
            await fail_unforeseen(self._store, claim, error)
        finally:
            self._ended(active)

    async def _driver_of(self, active: _Active) -> Driver | Alone | None:
        """Who runs an instance; None where it was ended, because it has no plan. Raises FenceLost."""
        claim, settings = active.claimed.claim, self._settings
        if active.claimed.deaths >= limits.SUSPECT_AFTER_DEATHS:
            given = AloneSettings(
                database=settings.database,
                version=_version(),
                connections_max=settings.connections_max,
                allow_hosts=settings.allow_hosts,
                allow_loopback=settings.allow_loopback,
                http_mock=settings.http_mock,
            )
            return Alone(active.claimed, self._store, given, self._turn_of_suspects, self._lost_over)
        plan = await self._plans.plan_of(active.claimed, lambda: active.cancel_reason)
        if plan is None:
            return None
        assert self._sql is not None and self._http is not None
        return Driver(
            claim=claim,
            plan=limited(plan, claim.timeout_seconds),
            store=self._store,
            sql=self._sql,
            http=self._http,
            elsewhere=self._sql.elsewhere,
            recorder=Recorder(claim, self._journals, version=_version()) if claim.recorded else None,
            crashpoints=self._crashpoints,
        )


def _version() -> str:
    try:
        return version("dfc")
    except PackageNotFoundError:
        return "unknown"
