"""What a workflow has come to, given what was decided: the end that its history calls for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dfc.compiler.plan import (
    INPUT,
    ArmsNode,
    AtomicNode,
    Block,
    CallNode,
    CompensateNode,
    ConstantNode,
    IfNode,
    InstanceNode,
    LoopNode,
    MapNode,
    Node,
    RetryNode,
    ScheduleNode,
    SignalNode,
    SleepNode,
    TimeoutNode,
    TryNode,
    UntilNode,
)
from dfc.executor.journal import Value
from tests.simulate import repeats, structures, waiting
from tests.simulate.decisions import END, ends_as
from tests.simulate.env import Env
from tests.simulate.outcome import End, Outcome
from tests.simulate.rows import Instance
from tests.simulate.values import Trouble
from tests.simulate.walk import Here, Structure, Walk

STRUCTURES: Mapping[type[Node], Structure] = {
    IfNode: structures.choice,
    TryNode: structures.attempt,
    TimeoutNode: structures.timeout,
    CompensateNode: structures.compensate,
    AtomicNode: structures.atomic,
    ArmsNode: structures.arms,
    LoopNode: repeats.loop,
    RetryNode: repeats.again,
    MapNode: repeats.map,
    ConstantNode: waiting.constant,
    SleepNode: waiting.moment,
    UntilNode: waiting.moment,
    ScheduleNode: waiting.moment,
    SignalNode: waiting.signal,
    InstanceNode: waiting.instance,
    CallNode: waiting.call,
}


@dataclass(frozen=True, slots=True)
class Within:
    """What was undone before the end, and what failed then."""

    undone: int
    errors: list[Trouble]


def interpret(instance: Instance, *, cut: bool) -> tuple[Walk, Outcome, Within]:
    """Follow the plan of an ended instance along its history, up to what is undone at the end.

    `cut`: it was cancelled. Raises Broken.
    """
    walk = Walk(instance, STRUCTURES)
    env = Env()
    if instance.input is not None:
        env.put(INPUT, Value(json=instance.input), soft=False)
    root = Block(nodes=instance.plan.nodes, result=instance.plan.result)
    out = walk.block(root, Here(frame="", env=env, since=0, cut=cut))
    within = Within(walk.undone, list(walk.undo_errors))
    walk.undone, walk.undo_errors = 0, []
    if (cut or out.end is End.ERROR) and out.undos:
        end = walk.record(END, "decided")
        if end is None or end.at <= out.at or end.text is None:
            raise walk.say("it is undone, and how it ends was not decided")
        if ends_as(end.text) != ("cancelled" if cut else "failed"):
            raise walk.say(f"it was to end {end.text}")
        walk.undo(out.undos, end.at)
    return walk, out, within
