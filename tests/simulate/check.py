"""What has to be true of an instance after its end."""

from __future__ import annotations

from dfc.compiler.plan import BreakNode, Delivery, Form, HttpNode, SignalNode, SqlBody, SqlNode
from dfc.executor.journal import Rows
from tests.simulate.interpret import Within, interpret
from tests.simulate.outcome import End, Outcome
from tests.simulate.places import where
from tests.simulate.rows import Instance
from tests.simulate.shapes import Broken
from tests.simulate.values import text_of
from tests.simulate.waiting import check_signals
from tests.simulate.walk import Walk


def check_instance(instance: Instance) -> None:
    """All invariants of an ended instance against the plan's meaning. Raises Broken."""
    try:
        if instance.after_end:
            raise Broken(f"{instance.after_end} happened after the end")
        _effects(instance)
        _requests(instance)
        _attempts(instance)
        _signals(instance)
        _calls(instance)
        _end(instance)
    except Broken as broken:
        raise Broken(f"{instance.id}: {broken}") from broken


def _effects(instance: Instance) -> None:
    """Each effect once if it is recorded, else not at all; where that cannot be, what was promised."""
    history = instance.history
    for path, entries in history.by_path.items():
        completed = sum(entry.kind == "completed" for entry in entries)
        effects = history.effects[path]
        if completed > 1:
            raise Broken(f"`{path}` has completed {completed} times")
        if not _has_effect(instance, path):
            continue
        if _often(instance, path):
            if effects < completed:
                raise Broken(f"`{path}` has completed without its effect")
        elif effects != completed:
            raise Broken(f"the effect of `{path}` happened {effects} times, and {completed} are recorded")
        if _delivery(instance, path) is Delivery.AT_MOST_ONCE and effects > 1:
            raise Broken(f"the effect of `{path}` may happen once and happened {effects} times")


def _has_effect(instance: Instance, path: str) -> bool:
    at = where(path)
    if not at.node:
        return False
    node = instance.places.node(path)
    return isinstance(node, SqlNode | HttpNode | BreakNode) and at.suffix in ("", "request", "response")


def _often(instance: Instance, path: str) -> bool:
    """Whether the effect may happen more than once."""
    node = instance.places.node(path)
    if isinstance(node, SqlNode):
        return node.body.form is Form.AUTOCOMMIT
    return path.endswith("/response")


def _delivery(instance: Instance, path: str) -> Delivery:
    node = instance.places.node(path)
    return node.policy.delivery if isinstance(node, SqlNode | HttpNode) else Delivery.AT_LEAST_ONCE


def _attempts(instance: Instance) -> None:
    """Failed attempts are counted, whoever makes them."""
    for path, entries in instance.history.by_path.items():
        before, again = 0, False
        for entry in entries:
            if entry.kind == "started":
                # What somebody begins who has lost the fence comes to nothing.
                again = again or bool(entry.number)
            elif entry.kind == "retrying":
                if entry.number < before or (again and entry.number == before):
                    raise Broken(f"`{path}` has failed {entry.number} times after {before} times")
                before, again = entry.number, False


def _signals(instance: Instance) -> None:
    """Signals are taken once at most, in their order."""
    entries = [entry for entry in instance.history.entries if entry.kind == "completed"]
    taken = [entry for entry in entries if isinstance(instance.places.node(entry.path), SignalNode)]
    if (problem := check_signals(instance.sent, taken)) is not None:
        raise Broken(problem)


def _calls(instance: Instance) -> None:
    """A call starts an instance for each of its attempts, and no more."""
    for path, started in instance.called.items():
        attempts = {id.split(":")[-2] for id in started}
        if len(attempts) != len(started):
            raise Broken(f"`{path}` has started {started}")


def _requests(instance: Instance) -> None:
    for path, requests in instance.history.sent.items():
        if len(set(requests)) > 1:
            raise Broken(f"the request of `{path}` was computed more than once: {requests}")
        node = instance.places.node(path)
        if not isinstance(node, HttpNode) or not isinstance(node.request, SqlBody):
            continue
        entry = instance.history.one(path.removesuffix("response") + "request", "completed")
        if entry is None or not isinstance(entry.result, Rows) or str(entry.result.cells) != requests[0]:
            raise Broken(f"`{path}` was sent with {requests[0]}, not with what was computed")


def _end(instance: Instance) -> None:
    finish = instance.finish
    assert finish is not None
    cancelled = finish.status == "cancelled"
    if cancelled and instance.cancel is None:
        raise Broken("cancelled, and nobody had asked for it")
    walk, out, within = interpret(instance, cut=cancelled)
    for path, entries in instance.history.by_path.items():
        if path not in walk.visited and any(entry.kind in ("completed", "failed") for entry in entries):
            raise Broken(f"`{path}` has run and should not have")
    if cancelled:
        if finish.reason != instance.cancel:
            raise Broken(f"cancelled because of {finish.reason!r}")
        return
    _outcome(instance, walk, out, within)


def _outcome(instance: Instance, walk: Walk, out: Outcome, within: Within) -> None:
    finish = instance.finish
    assert finish is not None
    if out.end is End.DONE:
        if finish.status != "completed":
            raise Broken(f"ended {finish.status} with {finish.error}, not completed")
        assert out.given is not None
        found = None if instance.result is None else text_of(instance.result)
        if found != text_of(out.given):
            raise Broken(f"the result is {found}, not {text_of(out.given)}")
        return
    if out.error is None or not out.error.fits(finish.error):
        raise Broken(f"ended {finish.status} with {finish.error}, not {out.error}")
    # Of what was undone at inner borders some has to do with this error, and some was forgotten long ago.
    allowed = {"compensated" if walk.undone > 0 else "failed"}
    if within.undone > 0 and not walk.undo_errors:
        allowed |= {"failed", "compensated"} if within.errors else {"compensated"}
    if walk.undo_errors:
        allowed = {"failed"}
    if finish.status not in allowed:
        raise Broken(f"ended {finish.status} after {walk.undone} undos; {walk.undo_errors} failed")
    missing = [trouble for trouble in walk.undo_errors if not any(map(trouble.fits, finish.undo_errors))]
    if missing:
        raise Broken(f"the errors of undos are {finish.undo_errors}; there was {missing} too")
