"""One run: from a seed to a verdict."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from dfc.compiler.plan import SignalNode
from dfc.executor.core import loops, maps
from tests.simulate.check import check_instance
from tests.simulate.database import Database, Rules
from tests.simulate.fates import Fates
from tests.simulate.fold import check_fold
from tests.simulate.loop import OWNER, Loop, Owner, Stuck
from tests.simulate.network import Network
from tests.simulate.plans import WORKFLOWS, Made, random_plan
from tests.simulate.rows import Instance
from tests.simulate.shapes import Broken
from tests.simulate.worker import Driving, Worker, World

STEPS_MAX = 120_000
IDLE_STEPS_MAX = 60_000
"""So many without a record, and nothing goes on any more: what waits longest waits 300 s."""
LEASE_SECONDS = 1.0
HOLD_SECONDS_MAX = 60.0
CLOCK_SECONDS_MAX = 60.0
LENGTH_SECONDS_MAX = 120.0
"""Longer than what a plan waits for, and the pauses between attempts."""
CLOCK_WRONG_SECONDS_MAX = 300.0
"""Then the moments come that are still waited for; and nothing else waits."""


@dataclass(slots=True)
class Report:
    """What happened in a run, or in many."""

    runs: int = 0
    callbacks: int = 0
    steps: int = 0
    seconds: float = 0.0
    fired: Counter[str] = field(default_factory=Counter[str])
    ends: Counter[str] = field(default_factory=Counter[str])

    def add(self, other: Report) -> None:
        """Count another run in."""
        self.runs += other.runs
        self.callbacks += other.callbacks
        self.steps += other.steps
        self.seconds += other.seconds
        self.fired += other.fired
        self.ends += other.ends


class Failure(AssertionError):
    """A run has broken an invariant."""

    def __init__(self, seed: int, problem: str) -> None:
        super().__init__(f"seed {seed}: {problem}\n  replay: python -m tests.simulate --seed {seed} --runs 1")
        self.seed = seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a run is about: its plans with the fates of their steps, and which faults may happen."""

    plans: tuple[Made, ...]
    workflows: Mapping[str, Made] = field(default_factory=dict[str, Made])
    badness: float
    slowness: float
    faults: Mapping[str, int]


def random_case(seed: int) -> Case:
    """The case of a seed."""
    random = Random(f"case {seed}")
    calm = random.random() < 0.1
    plans = [
        random_plan(random, steps=random.choice((1, 4, 8, 12)), depth=random.randint(0, 5), others=number)
        for number in range(random.randint(1, 3))
    ]
    workflows = {
        name: random_plan(random, steps=random.choice((1, 2, 4)), depth=1, others=None) for name in WORKFLOWS
    }
    return Case(
        plans=tuple(plans),
        workflows=workflows,
        badness=random.choice((0.0, 0.1, 0.3)),
        slowness=random.choice((0.0, 0.3)),
        faults={} if calm else {kind: random.choice((0, 1, 3, 6)) for kind in FAULTS},
    )


FAULTS = (
    "request lost",
    "answer lost",
    "served late",
    "crash",
    "pause",
    "restart",
    "cancel",
    "leave",
    "wake",
    "refused",
    "signal",
)


class Run:
    """Everything of one run. `execute` returns what happened; raises Failure."""

    def __init__(self, seed: int, rules: Rules | None = None, case: Case | None = None) -> None:
        self.seed = seed
        self.case = case or random_case(seed)
        self.random = Random(seed)
        self.faults = dict(self.case.faults)
        self.loop = Loop(Random(self.random.random()), disorder=self.random.choice((0.0, 0.3, 1.0)))
        self.database = Database(self.loop.time, lease_seconds=LEASE_SECONDS, rules=rules or Rules())
        self.network = Network(self.loop, self.database, self.random, faults=self.faults)
        self.world = World(self.network)
        self.world.on_takeover = self._check_fold
        self.workers: list[Worker] = []
        self.owners: list[Owner] = []
        # Of its own, so that older seeds stay what they are.
        self.holding = Random(f"hold {seed}")
        self.hold_chance = self.holding.choice((0.0, 0.0, 0.1, 0.3))
        self.crash_chance = self.random.choice((0.002, 0.01, 0.03))
        self.setting = Random(f"clock {seed}")
        self.in_time = False
        self.clock_chance = self.setting.choice((0.0, 0.0, 0.0, 0.005, 0.02))

    def execute(self) -> Report:
        """Run to the end and check everything."""
        usual = loops.FOLDED_ROUNDS, maps.PAGE_ITEMS
        try:
            self._prepare()
            try:
                self.loop.run(
                    self._main(),
                    steps_max=STEPS_MAX,
                    idle_max=IDLE_STEPS_MAX,
                    progress=lambda: self.database.journal,
                )
            except Stuck as stuck:
                self._problems()
                raise Broken(f"{stuck}; {self._unended()}") from stuck
            self._problems()
            for instance in self.database.instances.values():
                check_instance(instance)
                self._check_calls(instance)
        except AssertionError as broken:
            raise Failure(self.seed, str(broken) or repr(broken)) from broken
        finally:
            # Others in this process decide with these, too.
            loops.FOLDED_ROUNDS, maps.PAGE_ITEMS = usual
            self.loop.bury(self.owners)
        return self._report()

    def _prepare(self) -> None:
        loops.FOLDED_ROUNDS = self.random.choice((1, 2, 8))
        maps.PAGE_ITEMS = self.random.choice((1, 2, 64))
        for number, made in enumerate(self.case.plans):
            fates = Fates(
                seed=f"{self.seed} {number}",
                badness=self.case.badness,
                slowness=self.case.slowness,
                forced=made.forced,
                doomed=made.doomed,
            )
            self.database.start(f"i{number}", made.plan, fates, input='{"n": 5}')
        self.loop.before = self._nemesis
        self.database.workflows = self.case.workflows

    async def _main(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self._hire()
        while not all(instance.ended for instance in self.database.instances.values()):
            await asyncio.sleep(0.05 if self.loop.time() < 10.0 else 0.5)
            self._misfortune()
            self._signals()
        self.faults.clear()
        self.world.done = True
        while any(not self._at_rest(worker) for worker in self.workers):
            for worker in self.workers:
                if not worker.owner.dead:
                    worker.wake()
            await asyncio.sleep(0.1)
        # What the network still carries arrives, too late for anybody.
        await asyncio.sleep(10.0)

    def _at_rest(self, worker: Worker) -> bool:
        return worker.owner.dead or (worker.task is not None and worker.task.done())

    def _hire(self) -> None:
        worker = Worker(
            self.world,
            f"w{len(self.workers)}",
            slots=self.random.choice((1, 2, 8)),
            lanes_max=self.random.choice((1, 2, 64)),
            park_seconds=self.random.choice((1.0, 5.0, 1000.0)),
        )
        self.workers.append(worker)
        self.owners.append(worker.owner)
        worker.start()

    # Faults

    def _nemesis(self, owner: Owner) -> None:
        """Called between any two callbacks of a worker."""
        if self.network.strikes("crash", self.crash_chance):
            self.loop.kill(owner)
            worker = next(worker for worker in self.workers if worker.owner is owner)
            self._outside(self.random.random() * 0.1, self._unlock, worker.id)
            self._outside(self.random.random(), self._hire)
        elif self.network.strikes("pause", self.crash_chance):
            self.loop.pause(owner, self.random.choice((0.1, 2.0, 5.0)) * self.random.random())

    def _unlock(self, worker: int) -> None:
        row = self.database.workers.get(worker)
        if row is not None:
            row.locked = False

    def _outside(self, seconds: float, callback: object, *args: object) -> None:
        assert callable(callback)
        contextvars.Context().run(self.loop.call_later, seconds, callback, *args)

    def _misfortune(self) -> None:
        """What happens to everybody, now and then."""
        if self.network.strikes("restart", 0.03):
            self.network.restart(self.random.choice((0.1, 1.0, 4.0)) * self.random.random())
        if self.network.strikes("cancel", 0.02):
            id = self.random.choice(list(self.database.instances))
            if self.database.cancel(id, "no longer wanted"):
                self.network.fired["cancel requested"] += 1
        if self.loop.time() < HOLD_SECONDS_MAX and self.holding.random() < self.hold_chance:
            self._hold(self.holding.choice(list(self.database.instances)))
        self._set_clock()
        living = [worker for worker in self.workers if not worker.owner.dead]
        if living and self.network.strikes("leave", 0.03):
            self._call(self.random.choice(living), "leave")
        if living and self.network.strikes("wake", 0.2):
            for _ in range(self.random.randint(1, 3)):
                self._call(self.random.choice(living), "wake")

    def _set_clock(self) -> None:
        """Set the database's clock forward or back, by seconds or days."""
        if self.loop.time() < CLOCK_SECONDS_MAX and self.setting.random() < self.clock_chance:
            seconds = self.setting.choice((3.0, 60.0, 3600.0, 259_200.0)) * self.setting.random()
            forward = self.setting.random() < 0.4
            self.database.set_clock(seconds if forward else -seconds)
            self.network.fired["clock forward" if forward else "clock back"] += 1
        elif self.database.was_set and self.loop.time() > CLOCK_WRONG_SECONDS_MAX:
            for instance in () if self.in_time else self.database.instances.values():
                if not instance.ended and _waits_in_vain(instance, self.database.now()):
                    raise Broken(f"{instance.id} waits for the clock, and for no moment")
            self.in_time = True
            self.database.set_clock(max(0.0, self._last_moment() - self.database.now()))

    def _last_moment(self) -> float:
        """The last one that anybody waits for."""
        found = (
            timer.due for i in self.database.instances.values() for timer in i.timers.values() if timer.fixed
        )
        return max(found, default=0.0)

    def _hold(self, id: str) -> None:
        """Pause an instance, and let it go on some time later."""
        if self.database.instances[id].paused:
            return
        self.database.pause(id, True)
        self.network.fired["hold"] += 1
        self._outside(
            self.holding.choice((0.1, 2.0, 30.0)) * self.holding.random(), self.database.pause, id, False
        )

    def _signals(self) -> None:
        """Signals come now and then, and from some time on as many as anybody waits for."""
        for instance in list(self.database.instances.values()):
            names = [node.name for node in instance.places.all() if isinstance(node, SignalNode)]
            if names and (self.loop.time() > 5.0 or self.network.strikes("signal", 0.2)):
                self.database.signal(instance.id, self.random.choice(names))
                self.network.fired["signal sent"] += 1

    def _call(self, worker: Worker, method: str) -> None:
        context = contextvars.Context()
        context.run(OWNER.set, worker.owner)
        context.run(self.loop.call_later, self.random.random() * 0.2, getattr(worker, method))

    # Checks

    def _check_fold(self, taken: Driving) -> None:
        """The state of whoever held the instance before is the state from the rows."""
        self.network.fired["takeover"] += 1
        instance = self.database.instances[taken.claim.instance]
        if instance.token != taken.claim.token:
            return
        others = [other for other in self.world.drivings if other.claim.instance == instance.id]
        earlier = [other for other in others if other.token < taken.token]
        last = max(earlier, key=lambda other: other.token, default=None)
        if last is None or (state := last.driver.state) is None:
            return
        gone = last.owner.dead or (last.task is not None and last.task.done())
        if gone and check_fold(self.database, instance, state):
            self.network.fired["fold law"] += 1

    def _check_calls(self, instance: Instance) -> None:
        """What an instance has called has come to its end before it."""
        own = instance.history.one("", "finished")
        assert own is not None
        for path, started in instance.called.items():
            for id in started:
                end = self.database.instances[id].history.one("", "finished")
                if end is None or end.at > own.at:
                    raise Broken(f"{instance.id} has ended before {id}, which `{path}` has called")

    def _problems(self) -> None:
        for problem in self.loop.problems:
            message = str(problem.get("message"))
            if "exception was never retrieved" in message and message.startswith("Future"):
                continue
            raised = problem.get("exception")
            raise Broken(f"{message}: {raised!r}") from raised
        for worker in self.workers:
            for task in worker.owner.tasks:
                if task.done() and not task.cancelled() and (raised := task.exception()) is not None:
                    raise Broken(f"{worker.owner}: {raised!r}") from raised

    def _unended(self) -> str:
        return "not ended: " + ", ".join(
            f"{i.id} ({i.status}, {len(i.records)} records, parked until {i.parked_until})"
            for i in self.database.instances.values()
            if not i.ended
        )

    def _report(self) -> Report:
        instances = self.database.instances.values()
        return Report(
            runs=1,
            callbacks=self.loop.steps,
            steps=sum(len(instance.history.entries) for instance in instances),
            seconds=self.loop.time(),
            fired=self.network.fired,
            ends=Counter(instance.status for instance in instances),
        )


def _waits_in_vain(instance: Instance, now: float) -> bool:
    """Whether an instance is given up for longer than any length of time in it, and waits for no moment."""
    moments = any(timer.fixed for timer in instance.timers.values())
    until = instance.parked_until
    return until is not None and not math.isinf(until) and until > now + LENGTH_SECONDS_MAX and not moments


def simulate(seed: int, runs: int, rules: Rules | None = None) -> Report:
    """Runs with the seeds `seed`, `seed + 1`, ... Raises Failure at the first that fails."""
    total = Report()
    for number in range(runs):
        total.add(Run(seed + number, rules).execute())
    return total
