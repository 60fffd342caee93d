"""The driver on asyncio's own loop: tasks, cancels, release. Its faults are simulated elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dfc.compiler.plan import Form, JoinNode, Plan, Returns, SqlBody, SqlNode
from dfc.executor import retry
from dfc.executor.actions import Finish, RecordAttempt, RecordFailure, Rider, RunSql, SendHttp
from dfc.executor.claim import Claim
from dfc.executor.drive import Driver, Outcome
from dfc.executor.failures import FenceLost, StepFailed, Transient
from dfc.executor.journal import Completed, Failed, Recorded, Retrying, StepError
from dfc.executor.ports import Answer, Parking

CLAIM = Claim(
    instance="i",
    token=b"t",
    submitted_by="somebody",
    database=None,
    search_path="",
    time_zone="UTC",
    cancel_reason=None,
    resumed=False,
)


def node(id: str, *after: str) -> SqlNode:
    body = SqlBody(sql="SELECT 1", kind="select", form=Form.WITH, returns=Returns.ROWS)
    return SqlNode(id=id, after=after, body=body)


def chain(length: int) -> Plan:
    nodes = tuple(node(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(length))
    return Plan(nodes=nodes, result=f"s{length - 1}")


def fan(width: int) -> Plan:
    branches = tuple(node(f"s{n}") for n in range(width))
    return Plan(nodes=(*branches, JoinNode(id="j", after=tuple(b.id for b in branches))), result="j")


class Memory:
    """All three ports. A path in `held` waits until it is let go; one in `raising` raises."""

    def __init__(self) -> None:
        self.records: list[Recorded] = []
        self.fence_lost = False
        self.ended: Finish | None = None
        self.held: dict[str, asyncio.Event] = {}
        self.raising: dict[str, list[BaseException]] = {}
        self.running: dict[str, asyncio.Task[Any] | None] = {}
        self.tasks: set[asyncio.Task[Any] | None] = set()
        self.most = 0
        self.interrupted: list[str] = []
        self.noted: list[RecordAttempt] = []
        self.changed = asyncio.Condition()

    async def history(self, claim: Claim, plan: Plan) -> list[Recorded]:
        if self.fence_lost:
            raise FenceLost
        return list(self.records)

    async def record_of(self, claim: Claim, path: str) -> Recorded | None:
        if self.fence_lost:
            raise FenceLost
        return next((record for record in self.records if record.path == path), None)

    async def record_failure(self, claim: Claim, action: RecordFailure) -> Answer:
        return self._record(Failed(number=0, path=action.path, error=action.error), action.finish)

    async def record_attempt(self, claim: Claim, action: RecordAttempt) -> Retrying:
        self.noted.append(action)
        return Retrying(
            path=action.path,
            attempts=action.attempts,
            losses=action.losses,
            seconds=action.seconds,
            error=action.error,
        )

    async def finish(self, claim: Claim, finish: Finish) -> None:
        self.ended = finish

    async def wait(self, seconds: float) -> None:
        self.running["wait"] = asyncio.current_task()
        await self._tell()
        if "wait" in self.held:
            await self.held["wait"].wait()
        del self.running["wait"]

    async def park(self, claim: Claim, parking: Parking) -> None:
        self.running["park"] = asyncio.current_task()
        await self._tell()
        await self.held["park"].wait()
        del self.running["park"]
        raise self.raising["park"].pop(0)

    async def send(self, claim: Claim, action: SendHttp) -> Answer:
        raise AssertionError

    async def run(self, claim: Claim, action: RunSql) -> Answer:
        path = action.path
        self.running[path] = asyncio.current_task()
        self.tasks.add(asyncio.current_task())
        self.most = max(self.most, len(self.running))
        await self._tell()
        try:
            if path in self.held:
                await self.held[path].wait()
            if self.raising.get(path):
                raise self.raising[path].pop(0)
        except asyncio.CancelledError:
            self.interrupted.append(path)
            raise
        finally:
            del self.running[path]
        return self._record(Completed(number=0, path=path, result=None), action.rider)

    def _record(self, event: Recorded, rider: Rider | None) -> Answer:
        finish = rider if isinstance(rider, Finish) else None
        self.records.append(event)
        self.ended = finish
        return Answer(event=event, finished=finish is not None)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, *paths: str) -> None:
        """Wait until all these run."""
        async with self.changed:
            await self.changed.wait_for(lambda: all(path in self.running for path in paths))

    def driver(self, plan: Plan, **more: Any) -> Driver:
        store, sql, http = self.ports
        return Driver(claim=CLAIM, plan=plan, store=store, sql=sql, http=http, **more)

    @property
    def ports(self) -> tuple[Any, Any, Any]:
        """As store, runner and sender; it has of them what these plans need."""
        return self, self, self

    def paths(self) -> list[str]:
        return [record.path for record in self.records]


def scenario(test: Callable[[Memory], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test with a memory of its own, on a loop of its own, that leaves no task behind."""

    async def run() -> None:
        await test(Memory())
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def wrapped() -> None:
        asyncio.run(run())

    wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
    return wrapped


@scenario
async def test_chain_runs_in_the_callers_task(memory: Memory) -> None:
    assert await memory.driver(chain(5)).run() is Outcome.ENDED
    assert memory.paths() == [f"s{n}" for n in range(5)]
    assert memory.tasks == {asyncio.current_task()}
    assert memory.ended == Finish(status="completed", shape="s4")


@scenario
async def test_branches_run_at_the_same_time(memory: Memory) -> None:
    memory.held = {f"s{n}": asyncio.Event() for n in range(5)}
    running = asyncio.create_task(memory.driver(fan(5)).run())
    await memory.until(*memory.held)
    for gate in memory.held.values():
        gate.set()
    assert await running is Outcome.ENDED
    assert memory.ended == Finish(status="completed", shape=tuple(f"s{n}" for n in range(5)))


@pytest.mark.parametrize("lanes_max", [1, 2, 7])
def test_no_more_run_than_there_are_lanes(lanes_max: int) -> None:
    async def run() -> None:
        memory = Memory()
        assert await memory.driver(fan(30), lanes_max=lanes_max).run() is Outcome.ENDED
        assert memory.most <= lanes_max
        assert len(memory.records) == 30

    asyncio.run(run())


@scenario
async def test_cancel_interrupts_all_branches_and_ends(memory: Memory) -> None:
    memory.held = {f"s{n}": asyncio.Event() for n in range(3)}
    driver = memory.driver(fan(3))
    running = asyncio.create_task(driver.run())
    await memory.until(*memory.held)
    driver.cancel("enough")
    driver.cancel("enough")
    assert await running is Outcome.ENDED
    assert sorted(memory.interrupted) == ["s0", "s1", "s2"]
    assert memory.ended == Finish(status="cancelled", reason="enough")
    assert running.cancelling() == 0


@scenario
async def test_cancel_before_the_first_breath(memory: Memory) -> None:
    driver = memory.driver(chain(3))
    driver.cancel("enough")
    assert await driver.run() is Outcome.ENDED
    assert (memory.paths(), memory.ended) == ([], Finish(status="cancelled", reason="enough"))


@scenario
async def test_release_lets_what_runs_come_to_its_end(memory: Memory) -> None:
    memory.held = {"s1": asyncio.Event()}
    driver = memory.driver(chain(3))
    running = asyncio.create_task(driver.run())
    await memory.until("s1")
    driver.release()
    memory.held["s1"].set()
    assert await running is Outcome.RELEASED
    assert (memory.paths(), memory.ended) == (["s0", "s1"], None)


@scenario
async def test_release_interrupts_when_told_to(memory: Memory) -> None:
    memory.held = {"s1": asyncio.Event()}
    driver = memory.driver(chain(3))
    running = asyncio.create_task(driver.run())
    await memory.until("s1")
    driver.release()
    driver.release(interrupt=True)
    assert await running is Outcome.RELEASED
    assert (memory.paths(), memory.interrupted) == (["s0"], ["s1"])
    assert running.cancelling() == 0


@scenario
async def test_release_ends_waits_at_once(memory: Memory) -> None:
    memory.raising = {"s0": [Transient("deadlock", "40P01")]}
    memory.held = {"wait": asyncio.Event()}
    driver = memory.driver(chain(1))
    running = asyncio.create_task(driver.run())
    await memory.until("wait")
    driver.release()
    assert await running is Outcome.RELEASED
    assert running.cancelling() == 0


@scenario
async def test_cancel_that_comes_while_parking_is_refused_ends_it(memory: Memory) -> None:
    memory.raising = {"s0": [Transient("deadlock", "40P01")], "park": [Transient("too many", "53300")]}
    memory.held = {"park": asyncio.Event()}
    driver = memory.driver(chain(1), park_seconds=0.0)
    running = asyncio.create_task(driver.run())
    await memory.until("park")
    driver.cancel("no longer wanted")
    memory.held["park"].set()
    async with asyncio.timeout(10):
        assert await running is Outcome.ENDED
    assert memory.ended is not None and memory.ended.status == "cancelled"


@scenario
async def test_cancel_from_outside_goes_through_and_leaves_nothing(memory: Memory) -> None:
    memory.held = {f"s{n}": asyncio.Event() for n in range(3)}
    running = asyncio.create_task(memory.driver(fan(3)).run())
    await memory.until(*memory.held)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(memory.interrupted) == ["s0", "s1", "s2"]


@scenario
async def test_lost_fence_stops_all_branches(memory: Memory) -> None:
    memory.held = {f"s{n}": asyncio.Event() for n in range(3)}
    memory.raising = {"s1": [FenceLost()]}
    memory.fence_lost = True
    running = asyncio.create_task(memory.driver(fan(3)).run())
    await memory.until(*memory.held)
    memory.held["s1"].set()
    assert await running is Outcome.LOST
    assert sorted(memory.interrupted) == ["s0", "s2"]
    assert memory.ended is None


@scenario
async def test_a_step_that_says_its_fence_is_lost_is_not_believed(memory: Memory) -> None:
    memory.raising = {"s1": [FenceLost(), FenceLost()]}
    assert await memory.driver(chain(3)).run() is Outcome.ENDED
    assert memory.paths() == ["s0", "s1", "s2"]
    memory.raising = {"s0": [FenceLost() for _ in range(5)]}
    memory.records.clear()
    assert await memory.driver(chain(1)).run() is Outcome.ENDED
    assert memory.ended is not None and memory.ended.status == "failed"


@pytest.mark.parametrize("path", ["s0", "s1"])
def test_fault_of_a_port_stops_all_and_is_raised(path: str) -> None:
    async def run() -> None:
        memory = Memory()
        memory.held = {f"s{n}": asyncio.Event() for n in range(3)}
        memory.raising = {path: [ZeroDivisionError()]}
        running = asyncio.create_task(memory.driver(fan(3)).run())
        await memory.until(*memory.held)
        memory.held[path].set()
        with pytest.raises(ZeroDivisionError):
            await running
        assert sorted(memory.interrupted) == sorted({"s0", "s1", "s2"} - {path})
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


@scenario
async def test_failure_names_the_node_and_is_recorded(memory: Memory) -> None:
    memory.raising = {"s0": [StepFailed(StepError(step="?", message="no", sqlstate="22012"))]}
    assert await memory.driver(chain(3)).run() is Outcome.ENDED
    error = StepError(step="s0", message="no", sqlstate="22012")
    assert memory.records == [Failed(number=0, path="s0", error=error)]
    assert memory.ended == Finish(status="failed", error=error)


@scenario
async def test_losses_are_recorded_one_by_one(memory: Memory) -> None:
    lost = [Transient("gone", "08006") for _ in range(retry.LOST_ATTEMPTS_MAX)]
    memory.raising = {"s0": [*lost]}
    assert await memory.driver(chain(1)).run() is Outcome.ENDED
    [failed] = memory.records
    assert isinstance(failed, Failed) and failed.error.sqlstate == "08006"
    assert [(noted.attempts, noted.losses) for noted in memory.noted] == [
        (0, losses) for losses in range(1, retry.LOST_ATTEMPTS_MAX)
    ]
