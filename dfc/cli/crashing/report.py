"""What a crash test says: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from dfc.cli import present
from dfc.cli.crashing.bench import Kill
from dfc.cli.crashing.state import Difference, Unstable, end_line
from dfc.cli.crashing.trial import Repeated, Trial, Tried
from dfc.cli.database import say
from dfc.executor import paths
from dfc.executor.crashpoints import Nature
from dfc.executor.retry import AMBIGUOUS

WORKFLOW: Final = "(the workflow)"
SHOWN_MAX: Final = 3
"""Kills of one step that are shown in full when they make a difference."""

HOW: Final[dict[Nature, str]] = {
    "transaction": "one transaction with its record",
    "outside": "outside of a transaction: at least once",
    "request": "HTTP: at least once",
    "record": "record only",
}
_WEIGHT: Final[dict[Nature, int]] = {"record": 0, "transaction": 1, "outside": 2, "request": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A row of the table: a step, and what the kills at it have come to."""

    name: str
    nature: Nature
    how: str
    kills: int
    verdict: str
    safe: bool


def steps_of(trial: Trial) -> list[Step]:
    """The steps in the order in which they came."""
    groups: dict[str, list[Tried]] = {}
    for each in trial.tried:
        groups.setdefault(_name(each.kill), []).append(each)
    return [_step(name, tried) for name, tried in groups.items()]


def _step(name: str, tried: Sequence[Tried]) -> Step:
    natures: list[Nature] = [each.kill.passed.point.nature for each in tried]
    nature = max(natures, key=_WEIGHT.__getitem__)
    safe = all(each.same for each in tried)
    how = HOW[nature]
    if any(each.kill.passed.point.what == "beginning" for each in tried):
        how = f"{how.partition(':')[0]}: at most once"
    return Step(
        name=name, nature=nature, how=how, kills=len(tried), verdict=_verdict(nature, tried), safe=safe
    )


def _verdict(nature: Nature, tried: Sequence[Tried]) -> str:
    unlike = [each for each in tried if not each.same]
    if unlike and all(_is_ambiguous(each) for each in unlike):
        return "NOT repeated: a death over it fails as `ambiguous`"
    if unlike:
        return "NOT safe to repeat" if nature in ("outside", "request") else "NOT as undisturbed"
    if not all(each.fired for each in tried):
        return "not certain: a kill did not fire"
    match nature:
        case "transaction":
            return "exactly once"
        case "outside":
            return "safe to repeat: it changes nothing"
        case "request":
            repeated = [each for tried_one in tried for each in tried_one.repeated]
            if not repeated:
                return "as undisturbed"
            same = all(each.same_key for each in repeated)
            return "sent again, with the same Idempotency-Key" if same else "sent again, ANOTHER key"
        case "record":
            return "as undisturbed"


def _is_ambiguous(tried: Tried) -> bool:
    error = None if tried.end is None else tried.end.error
    return error is not None and error.get("sqlstate") == AMBIGUOUS


def _name(kill: Kill) -> str:
    node = paths.node_of(kill.passed.point.path) or WORKFLOW
    return f"{node} (called)" if kill.passed.called else node


def moment(kill: Kill) -> str:
    """When the worker was killed, for people."""
    point = kill.passed.point
    where = f" of `{point.path}`" if point.path else ""
    if kill.where == "after":
        return f"right behind the commit of the {point.what}{where}"
    match point.nature:
        case "outside":
            return f"inside `{point.path}`: its statement has run, its record has not committed"
        case "request":
            return f"inside `{point.path}`: the answer is there, its record has not committed"
        case _:
            return f"inside `{point.path}`: its statement has run, its transaction has not committed"


def show(trial: Trial) -> None:
    """Print what a trial has come to."""
    inside = sum(each.kill.where == "inside" for each in trial.tried)
    fired = sum(each.fired for each in trial.tried)
    count = len(trial.tried)
    present.console.print(
        f"{trial.name}: {trial.end.status} undisturbed, in {trial.undisturbed_seconds:.1f} s;"
        f" {trial.boundaries} boundaries, {count} kills ({count - inside} right behind a commit, {inside}"
        f" inside a step), {'all' if fired == count else fired} fired; {trial.seconds:.1f} s in all",
        markup=False,
        soft_wrap=True,
    )
    if trial.end.error is not None:
        say(f"so it ends undisturbed: {end_line(trial.end)}")
    if trial.left_out:
        say(f"{trial.left_out} boundaries were left out, of rounds and items like those tried: --kills-max")
    rows = [[step.name, step.how, step.kills, step.verdict] for step in steps_of(trial)]
    present.table(["step", "how", "kills", "what a death does"], rows)
    if unstable := _unstable_names(trial.unstable):
        _line(f"differs by itself, and is not compared: {', '.join(unstable)}")
    if timely := _unstable_names(trial.timely):
        _line(f"depends on time (an undisturbed worker that is late gives others, too): {', '.join(timely)}")
    for repeated in _all_repeated(trial):
        keys = "the same Idempotency-Key" if repeated.same_key else "under ANOTHER Idempotency-Key"
        url = repeated.url.partition("?")[0]
        _line(f"sent more than once: {repeated.method} {url} ({repeated.times} times in a run, {keys})")
    for each in trial.tried:
        if not each.fired:
            _line(f"did not fire: {moment(each.kill)} (its moment did not come)")
    _show_differences(trial)


def _show_differences(trial: Trial) -> None:
    shown: dict[str, int] = {}
    for each in trial.tried:
        name = _name(each.kill)
        if each.same:
            continue
        shown[name] = shown.get(name, 0) + 1
        if shown[name] > SHOWN_MAX:
            continue
        _line(f"\nkilled {moment(each.kill)}")
        for difference in each.differences:
            _show_difference(difference)
    for name, count in shown.items():
        if count > SHOWN_MAX:
            _line(f"\n... and {count - SHOWN_MAX} more kills at `{name}`: --json has them all")


def _show_difference(difference: Difference) -> None:
    _line(f"  {difference.table or 'the end of the workflow'}")
    parts = (
        ("-", difference.missing, difference.missing_count),
        ("+", difference.extra, difference.extra_count),
    )
    for sign, rows, count in parts:
        for row in rows:
            _line(f"    {sign} {row}")
        if count > len(rows):
            _line(f"    {sign} ... {count - len(rows)} more")


def _line(text: str) -> None:
    present.console.print(text, markup=False, soft_wrap=True)


def _unstable_names(unstable: Unstable) -> list[str]:
    columns = [f"{table}.{column}" for table, found in unstable.columns.items() for column in sorted(found)]
    parts = [".".join(map(str, path)) for path in sorted(unstable.parts, key=str)]
    return [*sorted(columns), *(f"all of {table}" for table in sorted(unstable.tables)), *parts]


def _all_repeated(trial: Trial) -> list[Repeated]:
    """Each request once, with the most often that a run has sent it."""
    found: dict[tuple[str, str], Repeated] = {}
    for each in (repeated for tried in trial.tried for repeated in tried.repeated):
        known = found.get((each.method, each.url))
        if known is None or each.same_key < known.same_key or each.times > known.times:
            found[each.method, each.url] = each
    return list(found.values())


def as_json(trial: Trial) -> dict[str, Any]:
    """The same for programs."""
    return {
        "workflow": trial.name,
        "safe": trial.safe,
        **trial.end.as_json(),
        "boundaries": trial.boundaries,
        "boundaries_left_out": trial.left_out,
        "kills": len(trial.tried),
        "kills_fired": sum(each.fired for each in trial.tried),
        "undisturbed_seconds": round(trial.undisturbed_seconds, 3),
        "seconds": round(trial.seconds, 3),
        "steps": [asdict(step) for step in steps_of(trial)],
        "differs_by_itself": _unstable_names(trial.unstable),
        "depends_on_time": _unstable_names(trial.timely),
        "requests_repeated": [asdict(each) for each in _all_repeated(trial)],
        "not_fired": [moment(each.kill) for each in trial.tried if not each.fired],
        "differences": [
            {
                "step": _name(each.kill),
                "killed": moment(each.kill),
                "in": [asdict(d) for d in each.differences],
            }
            for each in trial.tried
            if not each.same
        ],
    }
