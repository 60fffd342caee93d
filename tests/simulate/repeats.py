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
from tests.simulate.outcome import End, Outcome, beside
from tests.simulate.plausible import matches
from tests.simulate.values import text_of, truth
from tests.simulate.walk import Here, Walk


def loop(walk: Walk, node: Node, here: Here) -> Outcome:
    """Loop."""
    assert isinstance(node, LoopNode)
    if node.every is not None:
        return _polls(walk, node, here)
    path = here.frame + node.id
    leaving = walk.breaks(path)
    env = Env(here.env)
    at = here.since
    before = out = Outcome(end=End.DONE, at=at)
    inside: str | None = None
    number, goes_on = 0, True
    while goes_on:
        number += 1
        frame = f"{path}[{number}]/"
        inside = leaving if leaving is not None and leaving.startswith(frame) else None
        round = Here(frame=frame, env=env, since=at, cut=here.cut, leaving=inside, soft=here.soft)
        out, goes_on = _round(walk, node, round)
        if out.end is End.LEFT and out.late is not None:
            at = walk.undo([undo for undo in out.undos if undo.beside], out.at)
            kept = tuple(undo for undo in out.undos if not undo.beside)
            out = replace(out, end=End.ERROR, error=out.late, late=None, given=None, at=at, undos=kept)
        if goes_on or out.end in (End.DONE, End.LEFT):
            out = _end_round(walk, node, out)
        if goes_on:
            # That it stands there is recorded now and then, and nothing waits for it.
            _stands(walk, path, number + 1, out.at)
            at = out.at
            before = out.behind(before)
            env.turn(soft=here.cut or here.soft)
    out = out.behind(before)
    _last(walk, path, number)
    if inside is None and leaving is not None:
        raise walk.say(f"`{path}` was left at `{leaving}`, and ended in round {number}")
    if inside is not None and out.end not in (End.LEFT, End.ERROR) and not here.cut:
        raise walk.say(f"`{path}` was left at `{leaving}`, and that has ended {out.end}")
    env.hand_over(soft=here.cut or here.soft or not (out.done or out.end is End.LEFT))
    decided = walk.decision(path)
    at = out.at if decided is None else max(out.at, decided.at)
    return replace(out, end=End.DONE if out.end is End.LEFT else out.end, at=at)


def _polls(walk: Walk, node: LoopNode, here: Here) -> Outcome:
    """A loop until its own result is true: where it stands is recorded after each round without success."""
    path = here.frame + node.id
    env = Env(here.env)
    at, number = here.since, 0
    before = Outcome(end=End.DONE, at=at)
    assert node.every is not None
    while True:
        number += 1
        frame = f"{path}[{number}]/"
        out = walk.block(node.body, Here(frame=frame, env=env, since=at, cut=here.cut, alone=here.alone))
        if not out.done:
            break
        assert out.given is not None
        if truth(out.given):
            break
        next_at = _stands(walk, path, number + 1, out.at)
        if not next_at:
            if not here.cut:
                raise walk.say(f"`{path}` ends after round {number}, which gave {out.given}")
            out = replace(out, end=End.STOPPED, given=None)
            break
        before = out.behind(before)
        at = next_at
        env.turn(soft=True)
        _pause(walk, path, number + 1, node.every.seconds)
    _last(walk, path, number)
    return out.behind(before)


def _pause(walk: Walk, path: str, number: int, seconds: float) -> None:
    """Between two rounds is the time that there has to be."""
    stands = [
        entry for entry in walk.instance.history.all(f"{path}/round", "positioned") if entry.number == number
    ]
    frame = f"{path}[{number}]/"
    begun = [
        entry
        for other, entries in walk.instance.history.by_path.items()
        if other.startswith(frame)
        for entry in entries
    ]
    if begun and min(entry.forward for entry in begun) < stands[0].forward + seconds - 1e-6:
        raise walk.say(f"`{path}` begins round {number} too early")


def _round(walk: Walk, node: LoopNode, here: Here) -> tuple[Outcome, bool]:
    """A round, and whether another one follows."""
    out = walk.block(node.body, here)
    if not out.done or node.condition is None:
        return out, out.done
    condition = walk.block(node.condition, here.at(out.at))
    if not condition.done:
        return condition.behind(out), False
    assert condition.given is not None
    return replace(condition.behind(out), given=out.given), truth(condition.given)


def _end_round(walk: Walk, node: LoopNode, out: Outcome) -> Outcome:
    """What stood beside a break is undone, the rest is dropped or kept."""
    at = walk.undo([undo for undo in out.undos if undo.beside], out.at)
    kept = tuple(undo for undo in out.undos if node.keep_undos and not undo.beside)
    return replace(out, at=at, undos=kept)


def _stands(walk: Walk, path: str, number: int, at: int) -> int:
    """The number of the entry that says that the structure stands there; 0 if there is none."""
    entries = walk.instance.history.all(f"{path}/round", "positioned")
    found = [entry.at for entry in entries if entry.number == number]
    if found and found[0] <= at:
        raise walk.say(f"`{path}` stands at {number} before what comes before that has ended")
    return found[0] if found else 0


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
    before = Outcome(end=End.DONE, at=at)
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
        error = out.error
        assert error is not None
        at = walk.undo(out.undos, out.at)
        out = replace(out, at=at, undos=())
        if number >= most or not matches(node.policy, error.sqlstate):
            break
        next_at = _stands(walk, path, number + 1, at)
        if not next_at:
            if not here.cut:
                raise walk.say(f"`{path}` gives up after attempt {number}, {out.error}")
            break
        before = out.behind(before)
        at = next_at
        env.turn(soft=True)
    _last(walk, path, number)
    env.hand_over(soft=here.cut or here.soft or not out.done, carried=False)
    return out.behind(before)


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
        # Of one that was stopped and has left nothing, nobody knows whether it had begun.
        if inside is None and not walk.item_begun(path, number):
            outs[number] = Outcome(end=End.STOPPED, at=out.at)
            continue
        item = Here(frame=frame, env=env, since=out.at, cut=cut, leaving=inside, alone=False)
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
        return replace(out, at=max(entry.at, walk.undo(out.undos, out.at)), undos=())
    return replace(out, at=max(entry.at, out.at))


def _end(
    walk: Walk, node: MapNode, path: str, here: Here, items: Outcome, outs: dict[int, Outcome]
) -> Outcome:
    left = next((number for number, out in outs.items() if out.end is End.LEFT), None)
    if left is not None:
        others = [replace(out, undos=beside(out.undos)) for number, out in outs.items() if number != left]
        return outs[left].behind(items, *others)
    all = items.behind(items, *outs.values())
    failed = [out for out in outs.values() if out.end is End.ERROR]
    stopped = [number for number, out in outs.items() if out.end is End.STOPPED]
    fails = bool(failed) and node.on_error is OnError.FAIL
    if stopped and not here.cut:
        begun = [number for number in stopped if walk.item_begun(path, number)]
        if begun or not fails:
            raise walk.say(f"items {begun or stopped} of `{path}` have not come to their end")
    record = walk.record(path, "completed", "failed")
    walk.visited.add(path)
    if record is None:
        if not here.cut:
            raise walk.say(f"`{path}` has no end")
        return replace(all, end=End.STOPPED, given=None)
    if record.at <= all.at:
        raise walk.say(f"`{path}` ends before its items")
    if fails != (record.kind == "failed"):
        raise walk.say(f"`{path}` is {record.kind} with {record.error}, and {len(failed)} items have failed")
    all = replace(all, at=record.at, commit=record.at)
    if fails:
        error = failed[0].error
        assert error is not None
        if not error.fits(record.error):
            raise walk.say(f"`{path}` has failed with {record.error}, not {error}")
        return replace(all, end=End.ERROR, given=None, error=replace(error, final=False))
    assert isinstance(record.result, Value)
    return replace(all, given=record.result)
