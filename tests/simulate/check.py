"""What has to be true of an instance after its end."""

from __future__ import annotations

from dfc.executor.journal import Completed, Failed
from tests.simulate.database import Instance
from tests.simulate.interpret import Expected, interpret, render
from tests.simulate.network import Broken


def check_instance(instance: Instance) -> None:
    """All invariants of an ended instance against the plan's meaning. Raises Broken."""
    expected = interpret(instance.plan, instance.fates)
    completed = {r.path: r for r in instance.records.values() if isinstance(r, Completed)}
    failed = {r.path: r for r in instance.records.values() if isinstance(r, Failed)}
    if instance.after_end:
        raise _say(instance, f"{instance.after_end} happened after the end")
    _records(instance, expected, completed, failed)
    _effects(instance, completed)
    _end(instance, expected, completed, failed)


def _say(instance: Instance, problem: str) -> Broken:
    return Broken(f"{instance.id}: {problem}\n  plan: {instance.plan}\n  fates: {instance.fates}")


def _records(
    instance: Instance, expected: Expected, completed: dict[str, Completed], failed: dict[str, Failed]
) -> None:
    for path, record in completed.items():
        if path not in expected.completed:
            raise _say(instance, f"`{path}` has completed and should not have run")
        assert record.result is not None
        if render(record.result) != expected.completed[path]:
            raise _say(instance, f"`{path}` is {record.result}, not {expected.completed[path]}")
    for path, record in failed.items():
        if record.error != expected.failed.get(path):
            raise _say(instance, f"`{path}` failed with {record.error}, not {expected.failed.get(path)}")
    for path, record in instance.records.items():
        for before in expected.before[path]:
            if before not in completed or completed[before].number > record.number:
                raise _say(instance, f"`{path}` did not wait for `{before}`")


def _effects(instance: Instance, completed: dict[str, Completed]) -> None:
    for path in expected_sql(instance):
        effects = instance.effects[path]
        if effects != (path in completed):
            raise _say(instance, f"the effect of `{path}` happened {effects} times")
    for path, requests in instance.sent.items():
        if len(set(requests)) > 1:
            raise _say(instance, f"the request of `{path}` was computed more than once: {requests}")
    for path in completed:
        if path.endswith("/response") and not instance.sent.get(path):
            raise _say(instance, f"`{path}` is recorded and was never sent")


def expected_sql(instance: Instance) -> list[str]:
    """The paths of the SQL activations of an instance's plan."""
    return [path for path in instance.fates if not path.endswith("/response")]


def _end(
    instance: Instance, expected: Expected, completed: dict[str, Completed], failed: dict[str, Failed]
) -> None:
    finish = instance.finish
    assert finish is not None
    if finish.status == "cancelled":
        if instance.cancel is None:
            raise _say(instance, "cancelled, and nobody had asked for it")
        if finish.reason != instance.cancel:
            raise _say(instance, f"cancelled because of {finish.reason!r}")
        return
    if completed.keys() != expected.completed.keys() or failed.keys() != expected.failed.keys():
        missing = (expected.completed.keys() | expected.failed.keys()) - instance.records.keys()
        raise _say(instance, f"ended {finish.status} without {sorted(missing)}")
    if finish.status != expected.status:
        raise _say(instance, f"ended {finish.status}, not {expected.status}")
    if finish.error != expected.error:
        raise _say(instance, f"failed with {finish.error}, not {expected.error}")
    if instance.result != expected.result:
        raise _say(instance, f"the result is {instance.result}, not {expected.result}")
