"""A worker in the model: claims, beats, passes cancel requests on, shuts down. Its drivers are real."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from dfc.compiler.plan import Plan
from dfc.executor.claim import Claim
from dfc.executor.decide import kept_nodes, view
from dfc.executor.drive import Driver, Outcome
from dfc.executor.failures import FenceLost, Transient
from tests.simulate.database import BEAT_SECONDS
from tests.simulate.loop import OWNER, Owner
from tests.simulate.network import Network
from tests.simulate.ports import Ports
from tests.simulate.shapes import Broken


@dataclass(slots=True)
class Driving:
    """A driver, what it drives, and for whom. `token` is that of the claim as it was made."""

    claim: Claim
    plan: Plan
    driver: Driver
    ports: Ports
    owner: Owner
    token: bytes
    task: asyncio.Task[None] | None = None
    paused: bool = False


@dataclass(slots=True)
class World:
    """What all workers of a run share."""

    network: Network
    drivings: list[Driving] = field(default_factory=list["Driving"])
    on_takeover: Callable[[Driving], None] = lambda _: None
    done: bool = False
    outcomes: dict[Outcome, int] = field(default_factory=dict[Outcome, int])


class Worker:
    """One worker process, from its start to its death. It never returns before `World.done`."""

    def __init__(self, world: World, name: str, *, slots: int, lanes_max: int, park_seconds: float) -> None:
        self.world = world
        self.owner = Owner(name)
        self.slots = slots
        self.lanes_max = lanes_max
        self.park_seconds = park_seconds
        self.driving: dict[str, Driving] = {}
        self.id = 0
        self.ahead = 0.0
        self.leaving: bool = False
        self._wake: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start it with a context of its own, so that all it makes is known to be its."""
        context = contextvars.Context()
        context.run(OWNER.set, self.owner)
        self.task = self.world.network.loop.create_task(self._main(), context=context)

    def wake(self) -> None:
        """A notification: it may come late, twice, or for nothing."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def leave(self) -> None:
        """SIGTERM."""
        self.leaving = True
        self.wake()

    async def _main(self) -> None:
        database = self.world.network.database
        while not self.world.done:
            try:
                self.id = await self.world.network.call(database.register)
                self.ahead = 0.0
                beat = asyncio.get_running_loop().create_task(self._beat())
                try:
                    await self._session()
                finally:
                    beat.cancel()
            except (Transient, FenceLost):
                # It does not know what it holds. It gives up all of it, and is another worker from now on.
                pass
            patient = self.leaving and self.world.network.random.random() < 0.5
            for driving in list(self.driving.values()):
                driving.driver.release(interrupt=not patient)
            if patient:
                await asyncio.sleep(self.world.network.random.random())
                for driving in list(self.driving.values()):
                    driving.driver.release(interrupt=True)
            while self.driving:
                await self._slept(0.5)
            await self._give_back()
            self.leaving = False

    async def _give_back(self) -> None:
        # The request is what was written when it was sent, however late it is served.
        id = self.id
        for _ in range(3):
            try:
                await self.world.network.call(lambda: self.world.network.database.unregister(id))
                return
            except Transient:
                await asyncio.sleep(0.1)

    async def _session(self) -> None:
        network, id = self.world.network, self.id
        while not self.world.done and not self.leaving:
            room = self.slots - len(self.driving)
            if room > 0:
                for claim, plan in await network.call(partial(network.database.claim, id, room)):
                    self._drive(claim, plan)
            told, pauses = await network.call(
                lambda: (network.database.cancels(id), network.database.pauses(id))
            )
            for instance, reason in told:
                self._told(instance, reason)
            for instance, paused in pauses:
                driving = self.driving.get(instance)
                if driving is not None and driving.paused is not paused:
                    driving.paused = paused
                    driving.driver.pause(paused)
            await self._slept(1.0)

    async def _beat(self) -> None:
        network, id = self.world.network, self.id
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                if not await network.call(lambda: network.database.heartbeat(id)):
                    self.leave()
                    return
                await self._look_at_clock()
            except Transient:
                continue

    async def _look_at_clock(self) -> None:
        """Whether the database's clock has been set since this was seen last."""
        database = self.world.network.database
        ahead = database.ahead
        if ahead == self.ahead:
            return
        for driving in list(self.driving.values()):
            driving.driver.clock_set()
        await self.world.network.call(database.set_back)
        self.ahead = ahead

    async def _slept(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._wake = loop.create_future()
        timer = loop.call_later(seconds, self.wake)
        await self._wake
        timer.cancel()

    def _told(self, instance: str, reason: str | None) -> None:
        driving = self.driving.get(instance)
        if driving is not None and reason is None:
            driving.driver.called()
        elif driving is not None and reason is not None:
            state = driving.driver.state
            # One that has decided on the end already may go through with it.
            if state is None or view(state)[""] == "running":
                driving.ports.watch.tell()
            for _ in range(self.world.network.random.choice((1, 1, 2))):
                driving.driver.cancel(reason)

    def _drive(self, claim: Claim, plan: Plan) -> None:
        if claim.instance in self.driving:
            # It had lost the instance without noticing, and has claimed it again.
            self.driving[claim.instance].driver.release(interrupt=True)
        ports = Ports(self.world.network, claim, frozenset(kept_nodes(plan)))
        driver = Driver(
            claim=claim,
            plan=plan,
            store=ports,
            sql=ports,
            http=ports,
            lanes_max=self.lanes_max,
            park_seconds=self.park_seconds,
        )
        driving = Driving(claim, plan, driver, ports, self.owner, claim.token)
        if claim.resumed:
            self.world.on_takeover(driving)
        self.world.drivings.append(driving)
        self.driving[claim.instance] = driving
        driving.task = asyncio.get_running_loop().create_task(self._run(driving))

    async def _run(self, driving: Driving) -> None:
        outcome = await driving.driver.run()
        self.world.outcomes[outcome] = self.world.outcomes.get(outcome, 0) + 1
        instance = self.world.network.database.instances[driving.claim.instance]
        if outcome is Outcome.ENDED and not instance.ended:
            raise Broken(f"{instance.id} is said to have ended")
        if outcome is Outcome.LOST and instance.token == driving.claim.token:
            raise Broken(f"{instance.id} is said to be lost")
        if driving.ports.watch.running:
            running = sorted(driving.ports.watch.running)
            raise Broken(f"{instance.id}: {running} run on after the driver's end")
        if self.driving.get(instance.id) is driving:
            del self.driving[instance.id]
        self.wake()
