"""How the structures of a plan are followed: if, try, timeout, compensate, atomic, arms."""

from __future__ import annotations

from dataclasses import replace

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    AtomicNode,
    Block,
    CompensateNode,
    Form,
    IfNode,
    Node,
    SqlNode,
    TimeoutNode,
    TryNode,
    error_source,
)
from tests.simulate.decisions import arm, timed_out
from tests.simulate.outcome import End, Outcome, Undo, marked, tracked
from tests.simulate.values import NULL, Given, Trouble, truth
from tests.simulate.walk import Here, Walk


def choice(walk: Walk, node: Node, here: Here) -> Outcome:
    """If."""
    assert isinstance(node, IfNode)
    condition = walk.block(node.condition, here)
    if not condition.done:
        return condition
    assert condition.given is not None
    taken = node.then if truth(condition.given) else node.otherwise
    if taken is None:
        return replace(condition, given=NULL)
    out = walk.block(taken, here.at(condition.at))
    return replace(out, undos=(*condition.undos, *out.undos))


def attempt(walk: Walk, node: Node, here: Here) -> Outcome:
    """Try, catch, finally."""
    assert isinstance(node, TryNode)
    out = walk.block(node.body, here)
    recorded = walk.touched(node.body, here.frame)
    undos: tuple[Undo, ...] = out.undos
    if out.end is End.ERROR:
        at = walk.undo(undos, out.at)
        first = out.error
        assert first is not None
        source = error_source(node.id)
        here.env.put(source, None, error=first, soft=False)
        out = walk.block(node.catch, here.at(at))
        here.env.values.pop(source, None)
        undos = out.undos
        if out.end is End.ERROR:
            assert out.error is not None
            out = replace(out, error=replace(out.error, cause=first))
    if out.end is End.STOPPED:
        # It is unwound here: first what is undone, then what is cleaned up.
        out = replace(out, at=walk.undo(undos, out.at))
        undos = ()
    elif here.cut:
        undos = marked(undos, early=True)
    if node.final is None:
        return replace(out, undos=undos)
    if here.cut and not walk.touched(node.final, here.frame):
        if recorded and _runs(node.final):
            raise walk.say(f"`{here.frame}{node.id}` was entered, and its finally has not run")
        return replace(out, undos=undos)
    final = walk.block(node.final, replace(here.at(out.at), cut=False, leaving=None, alone=False))
    if final.end is End.ERROR:
        assert final.error is not None
        out = replace(out, end=End.ERROR, error=replace(final.error, cause=out.error))
    return replace(out, at=final.at, undos=(*undos, *final.undos))


def _runs(block: Block) -> bool:
    """Whether something is recorded surely when a block runs."""
    return isinstance(block.nodes[0], SqlNode)


def timeout(walk: Walk, node: Node, here: Here) -> Outcome:
    """Timeout."""
    assert isinstance(node, TimeoutNode)
    path = here.frame + node.id
    decided = walk.decision(path)
    fired = decided is not None and decided.text is not None and timed_out(decided.text)
    out = walk.block(node.body, here.but(cut=fired))
    if not fired or out.end is End.LEFT:
        return out
    assert decided is not None
    timer = walk.record(f"{path}/timer", "timed")
    if timer is None or decided.time < timer.time + node.duration.seconds - 1e-6:
        raise walk.say(f"`{path}` timed out before its time")
    if decided.at <= here.since:
        raise walk.say(f"`{path}` timed out before it began")
    at = walk.undo(out.undos, max(out.at, decided.at))
    if node.otherwise is not None:
        return walk.block(node.otherwise, here.at(at))
    trouble = Trouble(step=node.id, sqlstate="timeout")
    return Outcome(end=End.ERROR, at=at, error=trouble)


def compensate(walk: Walk, node: Node, here: Here) -> Outcome:
    """Compensate: what is done is registered to be undone."""
    assert isinstance(node, CompensateNode)
    out = walk.block(node.body, here)
    if not out.done:
        return out
    undo = Undo(node=node, frame=here.frame, env=here.env.snapshot(), at=out.at)
    return replace(out, undos=(*out.undos, undo))


def atomic(walk: Walk, node: Node, here: Here) -> Outcome:
    """Atomic: all of it in one transaction."""
    assert isinstance(node, AtomicNode)
    path = here.frame + node.id
    touched = [id for id in walk.instance.places.ids(node.body) if walk.touched_id(here.frame, id)]
    if not touched:
        return walk.step(path, node, here)
    walk.visited.add(path)
    if walk.record(path, "failed") is not None:
        raise walk.say(f"`{path}` has failed, and {touched} are recorded")
    out = walk.block(node.body, replace(here, cut=False, leaving=None))
    entries = [walk.record(here.frame + id, "completed") for id in touched]
    if len({entry.transaction for entry in entries if entry is not None}) > 1:
        raise walk.say(f"the steps of `{path}` have not committed together")
    if not out.done:
        raise walk.say(f"`{path}` has committed and ended {out.end}")
    return out


def arms(walk: Walk, node: Node, here: Here) -> Outcome:
    """Race, and all or cancel."""
    assert isinstance(node, ArmsNode)
    path = here.frame + node.id
    decided = walk.decision(path)
    number = None if decided is None or decided.text is None else arm(decided.text)
    if number is not None and not 1 <= number <= len(node.arms):
        raise walk.say(f"`{path}` was decided for arm {number}")
    outs: list[Outcome] = []
    holds = [walk.holds(block, here.leaving) for block in node.arms]
    for at, block in enumerate(node.arms, start=1):
        cut = number not in (None, at) or (any(holds) and not holds[at - 1])
        inner = replace(here.but(cut=cut), alone=False)
        out = walk.block(block, inner)
        outs.append(replace(out, undos=tracked(out.undos, path, at)))
    at = max(out.at for out in outs)
    left = next((n for n, out in enumerate(outs, start=1) if out.end is End.LEFT), None)
    if left is not None:
        return _only(walk, outs, left, at)
    if decided is not None and number is not None:
        chosen = outs[number - 1]
        if decided.at <= here.since:
            raise walk.say(f"`{path}` was decided before it began")
        return _decided(walk, node, path, outs, number, max(at, decided.at), chosen)
    return _undecided(walk, node, path, here, outs, at)


def _only(walk: Walk, outs: list[Outcome], number: int, at: int) -> Outcome:
    """All arms but one are unwound."""
    for other, out in enumerate(outs, start=1):
        if other != number:
            at = max(at, walk.undo(out.undos, out.at))
    return replace(outs[number - 1], at=at)


def _decided(
    walk: Walk, node: ArmsNode, path: str, outs: list[Outcome], number: int, at: int, chosen: Outcome
) -> Outcome:
    wanted = End.DONE if node.mode is ArmsMode.RACE else End.ERROR
    if chosen.end is not wanted:
        raise walk.say(f"`{path}` was decided for arm {number}, which has ended {chosen.end}")
    for other, block in enumerate(node.arms, start=1):
        if other != number and node.mode is ArmsMode.RACE and _is_single(block) and outs[other - 1].done:
            raise walk.say(f"arm {other} of `{path}` has committed, and arm {number} has won")
    return _only(walk, outs, number, at)


def _is_single(block: Block) -> bool:
    """Whether an arm is one statement, whose transaction carries the decision."""
    node = block.nodes[-1]
    return len(block.nodes) == 1 and isinstance(node, SqlNode) and node.body.form is not Form.AUTOCOMMIT


def _undecided(walk: Walk, node: ArmsNode, path: str, here: Here, outs: list[Outcome], at: int) -> Outcome:
    undos = tuple(undo for out in outs for undo in out.undos)
    errors = [out for out in outs if out.end is End.ERROR]
    if node.mode is ArmsMode.RACE and len(errors) == len(outs):
        return replace(outs[0], at=at, undos=marked(undos, early=True))
    if node.mode is ArmsMode.ALL_OR_CANCEL and all(out.done for out in outs):
        given: Given = [out.given for out in outs if out.given is not None]
        return Outcome(end=End.DONE, at=at, given=given, undos=undos)
    if here.cut:
        return Outcome(end=End.STOPPED, at=at, undos=marked(undos, early=True))
    if node.mode is ArmsMode.ALL_OR_CANCEL and errors:
        return replace(errors[0], at=at, undos=marked(undos, early=True))
    raise walk.say(f"`{path}` goes on, and nothing is decided")
