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
    OnError,
    SqlNode,
    TimeoutNode,
    TryNode,
    ValueNode,
    error_source,
)
from tests.simulate.decisions import arm, timed_out
from tests.simulate.outcome import End, Outcome, Undo, beside
from tests.simulate.places import nodes_in
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
    return walk.block(taken, here.at(condition.at)).behind(condition)


def attempt(walk: Walk, node: Node, here: Here) -> Outcome:
    """Try, catch, finally."""
    assert isinstance(node, TryNode)
    out = walk.block(node.body, here)
    recorded = walk.touched(node.body, here.frame)
    first: Trouble | None = None
    if out.end in (End.ERROR, End.STOPPED):
        out = replace(out, at=walk.undo(out.undos, out.at), undos=())
    if out.end is End.LEFT:
        off = [undo for undo in out.undos if undo.beside]
        undos = tuple(undo for undo in out.undos if not undo.beside)
        out = replace(out, at=walk.undo(off, out.at), undos=undos)
    if out.end is End.ERROR:
        first = out.error
        assert first is not None
        source = error_source(node.id)
        here.env.put(source, None, error=first, soft=False)
        out = walk.block(node.catch, here.at(out.at)).behind(out)
        here.env.values.pop(source, None)
        if out.end is End.ERROR:
            assert out.error is not None
            out = replace(out, error=out.error.because(first))
    if node.final is None:
        return out
    if here.cut and _steps(node.final) and not walk.touched(node.final, here.frame):
        if recorded and _runs(node.final):
            raise walk.say(f"`{here.frame}{node.id}` was entered, and its finally has not run")
        if walk.block(node.final, here.at(out.at)).end is not End.ERROR:
            return out
    whole = replace(here.at(out.at), cut=False, leaving=None, alone=False, soft=here.cut or here.soft)
    final = walk.block(node.final, whole)
    if final.end is End.ERROR:
        assert final.error is not None
        error = replace(final.error.because(out.late or out.error or first), final=True)
        if out.end is not End.LEFT:
            return replace(final, error=error).behind(out)
        out = replace(out, late=error)
    return replace(out, undos=()).behind(replace(final, undos=(*out.undos, *final.undos)))


def _runs(block: Block) -> bool:
    """Whether something is recorded surely when a block runs."""
    return isinstance(block.nodes[0], SqlNode)


def _steps(block: Block) -> bool:
    """Whether anything may be recorded when a block runs."""
    return any(not isinstance(node, ValueNode) for node in nodes_in(block))


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
    if timer is None or decided.forward < timer.forward + node.duration.seconds - 1e-6:
        raise walk.say(f"`{path}` timed out before its time")
    if decided.at <= here.since:
        raise walk.say(f"`{path}` timed out before it began")
    at = walk.undo(out.undos, max(out.at, decided.at))
    out = replace(out, at=at, undos=())
    if out.end is End.ERROR and out.error is not None and out.error.final:
        return out
    if node.otherwise is not None:
        return walk.block(node.otherwise, here.at(at)).behind(out)
    trouble = Trouble(step=node.id, sqlstate="timeout")
    return Outcome(end=End.ERROR, at=at, error=trouble).behind(out)


def compensate(walk: Walk, node: Node, here: Here) -> Outcome:
    """Compensate: what is done is registered to be undone."""
    assert isinstance(node, CompensateNode)
    out = walk.block(node.body, here)
    if not out.done or not out.commit:
        return out  # where nothing is recorded there is nothing to undo
    undo = Undo(node=node, frame=here.frame, env=here.env.snapshot(), at=out.at, commit=out.commit)
    return replace(out, undos=(*out.undos, undo))


def atomic(walk: Walk, node: Node, here: Here) -> Outcome:
    """Atomic: all of it in one transaction."""
    assert isinstance(node, AtomicNode)
    path = here.frame + node.id
    touched = [id for id in walk.instance.places.ids(node.body) if walk.touched_id(here.frame, id)]
    failed = walk.record(path, "failed")
    if not touched and failed is not None:
        return walk.step(path, node, here)
    walk.visited.add(path)
    if not touched:
        # It may come out without a statement: then there is nothing to record.
        return walk.block(node.body, replace(here, leaving=None))
    if failed is not None:
        raise walk.say(f"`{path}` has failed, and {touched} are recorded")
    soft = here.cut or here.soft
    out = walk.block(node.body, replace(here, cut=False, leaving=None, soft=soft))
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
        # Whether what an arm gives that has not won is to be seen is left open.
        soft = here.soft or (node.mode is ArmsMode.RACE and at != number)
        out = walk.block(block, replace(here.but(cut=cut), alone=False, soft=soft))
        lost = decided is not None and number not in (None, at) and not any(holds)
        # What a group has done completely is undone with what is around it.
        lost = lost and (node.mode is ArmsMode.RACE or not out.done)
        if lost or (node.mode is ArmsMode.RACE and out.end is End.ERROR):
            # It is unwound for itself, one that has failed as soon as it has.
            waits = lost and decided is not None and out.end is not End.ERROR
            since = max(out.at, decided.at) if waits and decided is not None else out.at
            out = replace(out, at=walk.undo(out.undos, since), undos=())
        outs.append(out)
    if any(out.end is End.LEFT for out in outs):
        left = next(number for number, out in enumerate(outs) if out.end is End.LEFT)
        others = [replace(out, undos=beside(out.undos)) for n, out in enumerate(outs) if n != left]
        if number is not None and outs[number - 1].done:
            # That it was won was about to be recorded when the break was.
            here.env.put(node.id, outs[number - 1].given, soft=True)
        return outs[left].behind(*others) if others else outs[left]
    if decided is not None and number is not None:
        if decided.at <= here.since:
            raise walk.say(f"`{path}` was decided before it began")
        return _decided(walk, node, path, outs, number, decided.at)
    return _undecided(walk, node, path, here, outs)


def _decided(
    walk: Walk, node: ArmsNode, path: str, outs: list[Outcome], number: int, decided: int
) -> Outcome:
    wanted = End.DONE if node.mode is ArmsMode.RACE else End.ERROR
    chosen = outs[number - 1]
    if chosen.end is not wanted:
        raise walk.say(f"`{path}` was decided for arm {number}, which has ended {chosen.end}")
    for other, block in enumerate(node.arms, start=1):
        if other != number and node.mode is ArmsMode.RACE and _is_single(block) and outs[other - 1].done:
            raise walk.say(f"arm {other} of `{path}` has committed, and arm {number} has won")
    at = max(decided, *(out.at for out in outs))
    commit = chosen.commit if node.mode is ArmsMode.RACE else max(out.commit for out in outs)
    undos = tuple(undo for out in outs for undo in out.undos)
    return replace(chosen, at=at, commit=commit, undos=undos)


def _is_single(block: Block) -> bool:
    """Whether an arm is one statement, whose transaction carries the decision."""
    node = block.nodes[-1]
    if len(block.nodes) != 1 or not isinstance(node, SqlNode):
        return False
    return node.body.form is not Form.AUTOCOMMIT and node.policy.on_error is OnError.FAIL


def _undecided(walk: Walk, node: ArmsNode, path: str, here: Here, outs: list[Outcome]) -> Outcome:
    errors = [out for out in outs if out.end is End.ERROR]
    others = outs[1:] or outs
    if node.mode is ArmsMode.RACE and len(errors) == len(outs):
        return outs[0].behind(*others)
    if node.mode is ArmsMode.ALL_OR_CANCEL and all(out.done for out in outs):
        given: Given = [out.given for out in outs if out.given is not None]
        return replace(Outcome(end=End.DONE, at=0).behind(*outs), given=given)
    if here.cut:
        if node.mode is ArmsMode.ALL_OR_CANCEL and errors:
            return replace(Outcome(end=End.ERROR, at=0).behind(*outs), error=errors[0].error)
        return Outcome(end=End.STOPPED, at=0).behind(*outs)
    raise walk.say(f"`{path}` goes on, and nothing is decided")
