"""How waits are followed: for a moment, a signal, another instance, a called workflow."""

from __future__ import annotations

import json
from typing import Any

from dfc.compiler.plan import (
    CallNode,
    ConstantNode,
    InstanceNode,
    Node,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    UntilNode,
)
from dfc.executor.journal import Value
from tests.simulate.history import Entry
from tests.simulate.outcome import End, Outcome
from tests.simulate.walk import Here, Walk

EARLY = 1e-6


def constant(walk: Walk, node: Node, here: Here) -> Outcome:
    """A constant."""
    assert isinstance(node, ConstantNode)
    return Outcome(end=End.DONE, at=here.since, given=Value(json=node.value))


def moment(walk: Walk, node: Node, here: Here) -> Outcome:
    """A wait for a moment: it is over when that has come."""
    path = here.frame + node.id
    out = walk.step(path, node, here)
    entry = walk.record(path, "completed")
    if not out.done or entry is None:
        return out
    timer = _timer(walk, path, here)
    assert isinstance(entry.result, Value)
    told = json.loads(entry.result.json)
    over = entry.time
    match node:
        case SleepNode(duration=duration) if not isinstance(duration, SqlBody):
            over, due = entry.forward, timer.forward + duration.seconds
            wanted = {"slept": True, "seconds": duration.seconds}
        case UntilNode(at=str() as at):
            due, wanted = float(at), {"waited": True, "at": at}
        case ScheduleNode():
            due = timer.time // 60 * 60 + 60
            wanted = {"scheduled": True, "at": repr(due)}
        case _:
            raise AssertionError(node)
    if over < due - EARLY:
        raise walk.say(f"`{path}` was over at {over}, and is due at {due}")
    if told != wanted:
        raise walk.say(f"`{path}` has given {told}, not {wanted}")
    return out


def _timer(walk: Walk, path: str, here: Here) -> Entry:
    timers = walk.instance.history.all(f"{path}/timer", "timed")
    if len(timers) != 1 or timers[0].at <= here.since:
        raise walk.say(f"the timers of `{path}` are {timers}, after {here.since}")
    return timers[0]


def signal(walk: Walk, node: Node, here: Here) -> Outcome:
    """A signal: one that was sent under its name, or that the time was over."""
    assert isinstance(node, SignalNode)
    out, told = _news(walk, node, here)
    if told is not None and walk.instance.sent.get(told["data"]) != node.name:
        raise walk.say(f"`{here.frame}{node.id}` has taken {told}, which was not sent")
    return out


def instance(walk: Walk, node: Node, here: Here) -> Outcome:
    """Another instance: how it has ended, or that the time was over."""
    assert isinstance(node, InstanceNode)
    out, told = _news(walk, node, here)
    if told is not None and told["status"] in ("pending", "running"):
        raise walk.say(f"`{here.frame}{node.id}` did not wait for the end: {told}")
    return out


def _news(walk: Walk, node: SignalNode | InstanceNode, here: Here) -> tuple[Outcome, dict[str, Any] | None]:
    """A wait for news, and what they were; None where it has not completed, or its time was over."""
    path = here.frame + node.id
    out = walk.step(path, node, here)
    entry = walk.record(path, "completed")
    if not out.done or entry is None:
        return out, None
    assert isinstance(entry.result, Value)
    told: dict[str, Any] = json.loads(entry.result.json)
    if not told["timed_out"]:
        return out, told
    if (
        node.timeout is None
        or entry.forward < _timer(walk, path, here).forward + node.timeout.seconds - EARLY
    ):
        raise walk.say(f"`{path}` timed out at {entry.time}, before its time")
    return out, None


def call(walk: Walk, node: Node, here: Here) -> Outcome:
    """A called workflow."""
    assert isinstance(node, CallNode)
    path = here.frame + node.id
    if not isinstance(node.input, SqlBody):
        return walk.step(path, node, here)
    out = walk.step(f"{path}/request", node, here, node.input.parameters)
    if not out.done or out.error is not None:
        return out
    return walk.step(path, node, here.at(out.at)).behind(out)


def check_signals(walk_sent: dict[int, str], taken: list[Entry]) -> str | None:
    """Of the signals of each name every one is taken once at most, in the order of their sending."""
    last: dict[str, int] = {}
    for entry in taken:
        assert isinstance(entry.result, Value)
        told = json.loads(entry.result.json)
        if told["timed_out"]:
            continue
        name, number = told["signal_name"], told["data"]
        if number <= last.get(name, 0):
            return f"signal {number} ({name}) was taken after {last[name]}, of {walk_sent}"
        last[name] = number
    return None
