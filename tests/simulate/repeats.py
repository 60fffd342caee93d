"""How what is run several times is followed: loop, retry, map."""

from __future__ import annotations

from dataclasses import replace

from dfc.compiler.plan import (
    LoopNode,
    MapNode,
    Node,
    OnError,
    RetryNode,
    SqlBody,
    item_source,
)
from dfc.executor.journal import Value
from tests.simulate.env import Env
from tests.simulate.outcome import End, Outcome, Undo, marked, tracked
from tests.simulate.values import Trouble, text_of, truth
from tests.simulate.walk import Here, Walk


def loop(walk: Walk, node: Node, here: Here) -> Outcome:
    """Loop."""
    assert isinstance(node, LoopNode)
    path = here.frame + node.id
    leaving = walk.breaks(path)
    env = Env(here.env)
    at, number = here.since, 0
    kept: tuple[Undo, ...] = ()
    while True:
        number += 1
        frame = f"{path}[{number}]/"
        inside = leaving if leaving is not None and leaving.startswith(frame) else None
        round = Here(frame=frame, env=env, since=at, cut=here.cut, leaving=inside)
        out = walk.block(node.body, round)
        goes_on = False
        if out.done and node.condition is not None:
            body, undos = out, out.undos
            out = walk.block(node.condition, round.at(out.at))
            undos += out.undos
            if out.done:
                assert out.given is not None
                goes_on = truth(out.given)
                out = replace(body, at=out.at)
            out = replace(out, undos=undos)
        elif out.done:
            goes_on = True
        at = out.at
        if goes_on:
            next_at = _next(walk, path, number + 1, at)
            if next_at is not None:
                kept += out.undos if node.keep_undos else ()
                at = next_at
                env.turn(soft=here.cut)
                continue
            if not here.cut:
                raise walk.say(f"`{path}` does not go on to round {number + 1}")
            out = Outcome(end=End.STOPPED, at=at, undos=marked(out.undos, optional=True))
        break
    _last(walk, path, number)
    if inside is None and leaving is not None:
        raise walk.say(f"`{path}` was left at `{leaving}`, and ended in round {number}")
    if inside is not None and out.end not in (End.LEFT, End.ERROR) and not here.cut:
        raise walk.say(f"`{path}` was left at `{leaving}`, and that has ended {out.end}")
    env.hand_over(soft=here.cut or not (out.done or out.end is End.LEFT))
    if out.end in (End.DONE, End.LEFT):
        undos = out.undos if node.keep_undos else ()
        if here.cut and not node.keep_undos:
            undos = marked(out.undos, optional=True)
        decided = walk.decision(path)
        at = at if decided is None else max(at, decided.at)
        return Outcome(end=End.DONE, at=at, given=out.given, undos=(*kept, *undos))
    return replace(out, undos=(*kept, *out.undos))


def _next(walk: Walk, path: str, number: int, at: int) -> int | None:
    """The number of the entry that says that the structure stands there; None if there is none."""
    entries = walk.instance.history.all(f"{path}/round", "positioned")
    found = [entry.at for entry in entries if entry.number == number]
    if found and found[0] <= at:
        raise walk.say(f"`{path}` stands at {number} before what comes before that has ended")
    return found[0] if found else None


def _last(walk: Walk, path: str, number: int) -> None:
    """The structure has gone no further than this."""
    numbers = [entry.number for entry in walk.instance.history.all(f"{path}/round", "positioned")]
    if numbers and (max(numbers) > number or sorted(numbers) != numbers):
        raise walk.say(f"`{path}` stood at {numbers}, and ended at {number}")


def again(walk: Walk, node: Node, here: Here) -> Outcome:
    """Retry."""
    assert isinstance(node, RetryNode)
    path = here.frame + node.id
    env = Env(here.env)
    at, number = here.since, 0
    most = node.policy.max_attempts or 5
    while True:
        number += 1
        frame = f"{path}[{number}]/"
        inside = here.leaving if here.leaving is not None and here.leaving.startswith(frame) else None
        out = walk.block(
            node.body,
            Here(frame=frame, env=env, since=at, cut=here.cut, leaving=inside, alone=here.alone),
        )
        if out.end is not End.ERROR:
            break
        assert out.error is not None
        again = number < most and _matches(out.error, node.policy.retry_on)
        if not again:
            break
        at = walk.undo(out.undos, out.at)
        next_at = _next(walk, path, number + 1, at)
        if next_at is None:
            if not here.cut:
                raise walk.say(f"`{path}` gives up after attempt {number}, {out.error}")
            out = Outcome(end=End.STOPPED, at=at)
            break
        at = next_at
        env.turn(soft=True)
    _last(walk, path, number)
    env.hand_over(soft=here.cut or not out.done, carried=False)
    return out


def _matches(error: Trouble, words: tuple[str, ...] | None) -> bool:
    """Whether an error is one after which to try again."""
    if words is None or "all" in words:
        return True
    return any(word in (error.sqlstate, error.sqlstate[:2]) for word in words)


def map(walk: Walk, node: Node, here: Here) -> Outcome:
    """Map."""
    assert isinstance(node, MapNode)
    path = here.frame + node.id
    out = _items(walk, node, path, here)
    if not out.done:
        return out
    rows = walk.instance.history.one(f"{path}/items", "completed")
    assert rows is not None
    outs: dict[int, Outcome] = {}
    items = walk.instance.history.items[path]
    for number, value in enumerate(items, start=1):
        frame = f"{path}[{number}]/"
        inside = here.leaving if here.leaving is not None and here.leaving.startswith(frame) else None
        in_map = walk.holds(node.body, here.leaving)
        env = Env(here.env)
        env.put(item_source(node.id), value, soft=False)
        cut = here.cut or (in_map and inside is None)
        begun = walk.item_begun(path, number)
        item = Here(frame=frame, env=env, since=out.at, cut=cut or not begun, leaving=inside, alone=False)
        done = walk.block(node.body, item)
        outs[number] = _item(walk, node, path, number, done, cut=cut)
    return _end(walk, node, path, here, out, outs)


def _items(walk: Walk, node: MapNode, path: str, here: Here) -> Outcome:
    if isinstance(node.items, SqlBody):
        return walk.step(f"{path}/items", node, here, node.items.parameters)
    out = walk.step(f"{path}/items", node, here)
    entry = walk.record(f"{path}/items", "completed")
    if entry is not None and not here.env.allows(node.items, entry.seen.get("")):
        raise walk.say(f"`{path}` runs over {entry.seen.get('')}")
    return out


def _item(walk: Walk, node: MapNode, path: str, number: int, out: Outcome, *, cut: bool) -> Outcome:
    """The end of an item, as its row has it."""
    entry = walk.item_end(path, number)
    out = replace(out, undos=tracked(out.undos, path, number))
    if out.end is End.LEFT or (out.end is End.STOPPED and entry is None):
        return out
    if entry is None:
        if not cut:
            raise walk.say(f"item {number} of `{path}` has no end")
        return replace(out, end=End.STOPPED)
    if entry.at < out.at:
        raise walk.say(f"item {number} of `{path}` ends before its work does")
    fits = out.error.fits(entry.error) if out.error is not None else entry.error is None
    if not fits or out.end is End.STOPPED:
        raise walk.say(f"item {number} of `{path}` ends with {entry.error}, not {out.error}")
    if out.done:
        assert out.given is not None
        if entry.text != text_of(out.given):
            raise walk.say(f"item {number} of `{path}` is {entry.text}, not {text_of(out.given)}")
    if out.end is End.ERROR and node.on_error is OnError.CONTINUE:
        at = walk.undo(out.undos, out.at)
        return replace(out, at=max(entry.at, at), undos=())
    return replace(out, at=max(entry.at, out.at))


def _end(
    walk: Walk, node: MapNode, path: str, here: Here, items: Outcome, outs: dict[int, Outcome]
) -> Outcome:
    at = max([items.at, *(out.at for out in outs.values())])
    undos = tuple(undo for out in outs.values() for undo in out.undos)
    left = next((number for number, out in outs.items() if out.end is End.LEFT), None)
    if left is not None:
        others = [undo for number, out in outs.items() if number != left for undo in out.undos]
        at = walk.undo(others, at, loose=True)
        return replace(outs[left], at=at)
    failed = [out for out in outs.values() if out.end is End.ERROR]
    stopped = [number for number, out in outs.items() if out.end is End.STOPPED]
    fails = bool(failed) and node.on_error is OnError.FAIL
    if stopped and not here.cut:
        begun = [number for number in stopped if walk.item_begun(path, number)]
        if begun or not fails:
            raise walk.say(f"items {begun or stopped} of `{path}` have not come to their end")
    record = walk.record(path, "completed", "failed")
    walk.visited.add(path)
    if record is not None and record.at <= at:
        raise walk.say(f"`{path}` ends before its items")
    at = at if record is None else record.at
    if fails:
        if record is not None and record.kind == "completed":
            raise walk.say(f"`{path}` is completed though items have failed")
        return replace(failed[0], at=at, undos=undos)
    if record is None:
        if not here.cut:
            raise walk.say(f"`{path}` has no end")
        return Outcome(end=End.STOPPED, at=at, undos=marked(undos, early=True))
    if record.kind == "failed":
        raise walk.say(f"`{path}` has failed with {record.error}")
    assert isinstance(record.result, Value)
    return Outcome(end=End.DONE, at=at, given=record.result, undos=undos)
