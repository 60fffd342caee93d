"""One run: from a seed to a verdict."""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from dfc.executor.decide import State, begin, step, view
from dfc.executor.journal import CancelRequested, Completed, Recorded
from tests.simulate.check import check_instance
from tests.simulate.database import Database, Instance, Rules
from tests.simulate.loop import OWNER, Loop, Owner, Stuck
from tests.simulate.network import Broken, Network
from tests.simulate.plans import random_fates, random_plan
from tests.simulate.worker import Driving, Worker, World

STEPS_MAX = 60_000
LEASE_SECONDS = 1.0


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


class Run:
    """Everything of one run. `execute` returns what happened; raises Failure."""

    def __init__(self, seed: int, rules: Rules | None = None) -> None:
        self.seed = seed
        self.random = Random(seed)
        calm = self.random.random() < 0.1
        self.faults = {} if calm else self._faults()
        self.loop = Loop(Random(self.random.random()), disorder=self.random.choice((0.0, 0.3, 1.0)))
        self.database = Database(self.loop.time, lease_seconds=LEASE_SECONDS, rules=rules or Rules())
        self.network = Network(self.loop, self.database, self.random, faults=self.faults)
        self.world = World(self.network)
        self.world.on_takeover = self._check_fold
        self.workers: list[Worker] = []
        self.owners: list[Owner] = []
        self.crash_chance = self.random.choice((0.002, 0.01, 0.03))
        self.fold_checks = 0

    def _faults(self) -> dict[str, int]:
        kinds = ("request lost", "answer lost", "served late", "crash", "pause", "restart", "cancel", "leave")
        return {kind: self.random.choice((0, 1, 3, 6)) for kind in (*kinds, "wake", "refused")}

    def execute(self) -> Report:
        """Run to the end and check everything."""
        try:
            self._prepare()
            try:
                self.loop.run(self._main(), steps_max=STEPS_MAX)
            except Stuck as stuck:
                self._problems()
                raise Broken(f"{stuck}; {self._unended()}") from stuck
            self._problems()
            for instance in self.database.instances.values():
                check_instance(instance)
        except AssertionError as broken:
            raise Failure(self.seed, str(broken) or repr(broken)) from broken
        finally:
            self.loop.bury(self.owners)
        return self._report()

    def _prepare(self) -> None:
        badness = self.random.choice((0.0, 0.1, 0.3))
        for number in range(self.random.randint(1, 3)):
            plan = random_plan(self.random, steps=self.random.randint(1, 9))
            fates = random_fates(self.random, plan, badness=badness)
            self.database.instances[f"i{number}"] = Instance(f"i{number}", plan, fates)
        self.loop.before = self._nemesis

    async def _main(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self._hire()
        while not all(instance.ended for instance in self.database.instances.values()):
            await asyncio.sleep(0.05)
            self._misfortune()
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
        living = [worker for worker in self.workers if not worker.owner.dead]
        if living and self.network.strikes("leave", 0.03):
            self._call(self.random.choice(living), "leave")
        if living and self.network.strikes("wake", 0.2):
            for _ in range(self.random.randint(1, 3)):
                self._call(self.random.choice(living), "wake")

    def _call(self, worker: Worker, method: str) -> None:
        context = contextvars.Context()
        context.run(OWNER.set, worker.owner)
        context.run(self.loop.call_later, self.random.random() * 0.2, getattr(worker, method))

    # Checks

    def _check_fold(self, taken: Driving) -> None:
        """The state of whoever held the instance before, brought up to date, is the state from the rows."""
        instance = self.database.instances[taken.claim.instance]
        records = list(instance.records.values())
        self.network.fired["takeover"] += 1
        rebuilt = begin(taken.plan)
        for record in records:
            step(rebuilt, _readable(record))
        for earlier in self.world.drivings:
            if earlier.claim.instance == instance.id and earlier.driver.state is not None:
                self._compare(instance, copy.deepcopy(earlier.driver.state), rebuilt, records)

    def _compare(self, instance: Instance, state: State, rebuilt: State, records: list[Recorded]) -> None:
        known = view(state)
        for record in records:
            if known[record.path] not in ("completed", "failed"):
                step(state, _readable(record))
        cancelled = known[""] == "cancelled" or instance.cancel is not None
        if cancelled:
            step(state, CancelRequested(reason=""))
        ours, theirs = view(state), view(rebuilt)
        if cancelled:
            ours[""] = theirs[""] = ""
        if ours != theirs:
            raise Broken(f"{instance.id}: from the events {ours}, from the rows {theirs}")
        self.fold_checks += 1

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
            f"{i.id} ({i.status}, {len(i.records)} records)"
            for i in self.database.instances.values()
            if not i.ended
        )

    def _report(self) -> Report:
        self.network.fired["fold law"] += self.fold_checks
        instances = self.database.instances.values()
        return Report(
            runs=1,
            callbacks=self.loop.steps,
            steps=sum(len(instance.records) for instance in instances),
            seconds=self.loop.time(),
            fired=self.network.fired,
            ends=Counter(instance.status for instance in instances),
        )


def _readable(record: Recorded) -> Recorded:
    assert not isinstance(record, Completed) or record.result is not None
    return record


def simulate(seed: int, runs: int, rules: Rules | None = None) -> Report:
    """Runs with the seeds `seed`, `seed + 1`, ... Raises Failure at the first that fails."""
    total = Report()
    for number in range(runs):
        total.add(Run(seed + number, rules).execute())
    return total
