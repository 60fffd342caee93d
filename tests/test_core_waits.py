"""What waits, in the core: who gets which signal, when a time is over, what a poll leaves behind."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    Block,
    ConstantNode,
    Duration,
    IfNode,
    JoinNode,
    LoopNode,
    Node,
    Plan,
    ScheduleNode,
    SignalNode,
    SleepNode,
    TimeoutNode,
    UntilNode,
)
from dfc.executor.actions import Action, Listen, RecordDecision, StartTimer, TakeSignal, Wait
from dfc.executor.decide import begin, pending, step
from dfc.executor.journal import Completed, Due, Timed, Value
from tests.shell import Shell, one
from tests.test_core_structures import FALSE, TRUE, chain, plan, sql

SEEDS = range(12)


def second(n: float) -> Duration:
    return Duration(microseconds=int(n * 1_000_000))


def wait(id: str, *after: str, name: str = "go", timeout: Duration | None = None) -> SignalNode:
    return SignalNode(id=id, after=after, name=name, timeout=timeout, used=True)


def told(shell: Shell, path: str) -> Any:
    record = shell.records[path]
    assert isinstance(record, Completed) and isinstance(record.result, Value)
    return json.loads(record.result.json)


def settle(shell: Shell) -> None:
    """Do everything but wait for times."""
    while ready := [path for path, action in shell.open.items() if not isinstance(action, Wait)]:
        shell.do(shell.random.choice(sorted(ready)))


def begun(plan: Plan, seed: int = 0) -> Shell:
    shell = Shell(plan, random=Random(seed))
    shell.start()
    settle(shell)
    return shell


@pytest.mark.parametrize("seed", SEEDS)
def test_the_first_in_written_order_gets_the_first_signal(seed: int) -> None:
    both = plan(wait("a"), wait("b"), wait("c"), JoinNode(id="z", after=("a", "b", "c")))
    shell = begun(both, seed)
    assert shell.listening == {"a", "b", "c"}
    shell.send("go", 1)
    settle(shell)
    assert told(shell, "a")["data"] == 1 and shell.listening == {"b", "c"}
    shell.signals["go"] = [2, 3]
    shell.start()
    settle(shell)
    assert [told(shell, path)["data"] for path in ("b", "c")] == [2, 3]


@pytest.mark.parametrize("seed", SEEDS)
def test_signals_that_came_before_are_taken_in_order(seed: int) -> None:
    shell = Shell(plan(wait("a"), wait("b", "a"), wait("c", "b")), random=Random(seed))
    shell.signals["go"] = [1, 2, 3]
    shell.run()
    assert [told(shell, path)["data"] for path in "abc"] == [1, 2, 3]


def test_other_names_do_not_count() -> None:
    shell = begun(plan(wait("a")))
    shell.send("stop", 1)
    settle(shell)
    assert shell.listening == {"a"} and shell.signals["stop"] == [1]


def test_who_was_beaten_takes_no_signal() -> None:
    race = ArmsNode(id="r", after=(), arms=(chain(wait("a")), chain(sql("b"))), mode=ArmsMode.RACE)
    shell = Shell(plan(race, wait("c", "r")), random=Random(1))
    shell.start()
    settle(shell)
    assert shell.listening == {"c"}
    shell.send("go", 7)
    settle(shell)
    assert told(shell, "c")["data"] == 7 and "a" not in shell.records


@pytest.mark.parametrize("seed", SEEDS)
def test_a_time_that_is_over_is_recorded(seed: int) -> None:
    shell = Shell(plan(wait("a", timeout=second(5))), random=Random(seed))
    shell.run()
    assert told(shell, "a") == {"signal_name": "go", "timed_out": True, "data": None}
    assert shell.waits["a/timer"] == 5


def test_a_signal_that_came_before_the_end_of_the_time_counts() -> None:
    shell = begun(plan(wait("a", timeout=second(5))))
    shell.signals["go"] = [1]  # of which nobody has been told yet
    shell.do("a/timer")
    settle(shell)
    assert told(shell, "a")["data"] == 1


def test_a_signal_for_somebody_before_is_not_taken_at_the_end_of_a_time() -> None:
    both = plan(wait("a"), wait("b", timeout=second(5)), JoinNode(id="z", after=("a", "b")))
    shell = begun(both)
    shell.signals["go"] = [1]
    shell.do("b/timer")
    settle(shell)
    assert told(shell, "a")["data"] == 1 and told(shell, "b")["timed_out"]


def test_a_signal_ends_the_timer() -> None:
    shell = begun(plan(wait("a", timeout=second(5)), sql("b", "a")))
    shell.send("go", 1)
    settle(shell)
    assert shell.finish is not None and not shell.open


@pytest.mark.parametrize(
    ("node", "timer", "value"),
    [
        (SleepNode(id="w", after=(), duration=second(2)), {"seconds": 2.0}, {"slept": True, "seconds": 2}),
        (
            SleepNode(id="w", after=(), duration=second(0.25)),
            {"seconds": 0.25},
            {"slept": True, "seconds": 0.25},
        ),
        (UntilNode(id="w", after=(), at="2026-01-01"), {"until": "2026-01-01"}, {"waited": True, "at": ""}),
        (
            ScheduleNode(id="w", after=(), cron="0 3 * * *", time_zone="Asia/Tokyo"),
            {"cron": "0 3 * * *", "time_zone": "Asia/Tokyo"},
            {"scheduled": True, "at": ""},
        ),
    ],
    ids=["sleep", "fraction", "until", "schedule"],
)
def test_waits_for_a_moment(node: Node, timer: dict[str, Any], value: dict[str, Any]) -> None:
    shell = Shell(Plan(nodes=(node,), result="w"), random=Random(0))
    shell.start()
    assert shell.open == {"w/timer": StartTimer(path="w/timer", **timer)}
    shell.run()
    assert told(shell, "w") == value


@pytest.mark.parametrize("seed", SEEDS)
def test_a_poll_goes_on_until_it_is_true_and_leaves_one_round(seed: int) -> None:
    poll = LoopNode(id="p", after=(), body=chain(sql("q")), every=second(3), used=True)
    shell = Shell(plan(poll, sql("z", "p")), {"q": FALSE, "p[3]/q": TRUE, "z": one("1")}, Random(seed))
    shell.start()
    random = Random(seed)
    while shell.finish is None:
        if random.random() < 0.3:
            shell.crash()
        shell.do(random.choice(sorted(shell.open)))
    assert shell.log == ["p[1]/q", "p[2]/q", "p[3]/q", "z"]
    assert shell.waits["p/round"] == 3
    assert [path for path in shell.records if path.startswith("p[")] == ["p[3]/q"]


def test_a_poll_that_takes_too_long_gives_what_stands_in_its_place() -> None:
    poll = LoopNode(id="p_polls", after=(), body=chain(sql("q")), every=second(3))
    late = ConstantNode(id="p_late", after=(), value='{"timed_out": true}')
    limit = TimeoutNode(
        id="p", after=(), body=chain(poll), duration=second(10), otherwise=chain(late), used=True
    )
    shell = Shell(plan(limit, sql("z", "p")), {"q": FALSE, "z": one("1")}, Random(0))
    shell.start()
    settle(shell)
    shell.do("p/timer")
    settle(shell)
    assert shell.finish is not None and shell.finish.status == "completed"


def test_what_waits_in_a_round_is_forgotten_with_it() -> None:
    body = Block(nodes=(wait("a", timeout=second(1)), sql("b", "a")), result="b")
    loop = LoopNode(id="l", after=(), body=body, condition=chain(sql("c")))
    shell = Shell(plan(loop), {"c": TRUE, "l[20]/c": FALSE, "b": one("1")}, Random(3))
    shell.run()
    assert shell.finish is not None and shell.finish.status == "completed"
    assert len(shell.records) < 60


def test_what_listens_is_asked_for_again_by_who_takes_over() -> None:
    shell = begun(plan(wait("a", timeout=second(5))))
    state = begin(shell.plan, list(shell.records.values()), instance="i")
    kinds = {type(action) for action in pending(state)}
    assert kinds == {TakeSignal, Wait} and Listen not in kinds


def test_a_limit_gives_more_time_to_what_is_read_and_not_to_what_sleeps() -> None:
    """Who takes over reads a result that was there in time; a sleep beside it has not ended."""

    def when_it_is_over(*beside: Node) -> tuple[Action, ...]:
        read = IfNode(id="i", after=(), condition=chain(sql("c")), then=chain(sql("a")))
        join = JoinNode(id="j", after=("i", *[node.id for node in beside]))
        limit = TimeoutNode(id="t", after=(), body=chain(read, *beside, join), duration=second(5))
        records = [Completed(number=1, path="c", result=None), Timed(path="t/timer", seconds=0.0)]
        return step(begin(plan(limit), records), Due(path="t/timer"))

    assert when_it_is_over() == (Wait(path="t/timer", seconds=0.1),)
    [decision] = when_it_is_over(SleepNode(id="s", after=(), duration=second(60)))
    assert isinstance(decision, RecordDecision) and decision.path == "t/decision"
