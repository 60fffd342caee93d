"""The durability report of a workflow, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dfc.cli import present
from dfc.cli.sources import Workflow
from dfc.compiler.plan_deaths import DEATHS, How
from dfc.compiler.plan_durability import Durability, Row, durability, to_json
from dfc.compiler.plan_json import from_json

NOT_COMPILED: Final = "cannot be told: variables decide what it does, and it is compiled when it starts"
UNSEEN: Final = (
    "Not looked into: triggers, views, operators, foreign tables. What they do to this database belongs to"
    " the transaction; what they do elsewhere happens again when the step does. Nor is whether a table is"
    " unlogged: a crash of PostgreSQL empties it, and the records of the steps that filled it stay."
)


def report_of(workflow: Workflow) -> Durability | None:
    """The report of a workflow of a file; None where variables decide what it does."""
    if workflow.plan is None:
        return None
    return durability(from_json(workflow.plan), workflow.options.get("database"))


def document(workflow: Workflow) -> dict[str, Any]:
    """The report as JSON."""
    report = report_of(workflow)
    return {"summary": NOT_COMPILED} if report is None else to_json(report)


def show(workflow: Workflow, head: str) -> None:
    """Print the report."""
    report = report_of(workflow)
    if report is None:
        _line(f"{head}{NOT_COMPILED}")
        return
    _line(f"{head}{report.summary()}")
    _line("")
    present.table(
        ["step", "happens", "how", "when"],
        [_cells(row) for row in report.rows if row.how is not How.DERIVED],
    )
    _show_remarks(report)
    _show_deaths(report)


def _cells(row: Row) -> list[str]:
    happens = "" if row.times is None else row.times.value + (" *" if row.untold else "")
    return [row.path, happens, row.why, ", ".join(row.often)]


def _show_remarks(report: Durability) -> None:
    said: dict[str, list[str]] = {}
    for row in report.rows:
        for remark in row.remarks:
            said.setdefault(remark, []).append(f"`{row.path}`")
        if row.untold:
            names = ", ".join(row.untold)
            remark = (
                f"* it cannot be told what {names} may do outside of the transaction: that would happen again"
            )
            said.setdefault(remark, []).append(f"`{row.path}`")
    if said:
        _line("")
    for remark, paths in said.items():
        _line(f"{', '.join(paths)}: {remark}")


def _show_deaths(report: Durability) -> None:
    rows: dict[str, Row] = {}
    for row in report.rows:
        rows.setdefault(row.how.value, row)
    _line("\nwhen the process dies")
    named: dict[str, list[str]] = {}
    for row in report.rows:
        named.setdefault(row.how.value, []).append(row.path)
    for how, row in rows.items():
        death = DEATHS[row.how]
        _line(f"  {_some(named[how])}")
        if death.before == death.during == death.behind:
            _line(f"    {death.during}")
            continue
        _line(f"    before: {death.before}")
        _line(f"    during: {death.during}")
        _line(f"    behind: {death.behind}")
        _line(f"    what one sees: {death.seen}")
    _line(f"\n{UNSEEN}")


def _some(paths: list[str], most: int = 4) -> str:
    rest = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + rest


def _line(text: str) -> None:
    present.console.print(text, markup=False, soft_wrap=True)


def as_json(workflows: Sequence[Workflow]) -> str:
    """All of them as one document."""
    return present.document([{"workflow": each.label, **document(each)} for each in workflows])
