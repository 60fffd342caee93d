"""The durability report of a workflow, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dfc.cli import present
from dfc.cli.sources import Workflow

NOT_COMPILED: Final = "cannot be told: variables decide what it does, and it is compiled when it starts"
UNSEEN: Final = (
    "Not looked into: triggers, views, operators, defaults, foreign tables, what DDL evaluates. What these do"
    " to this database belongs to the transaction; what they do elsewhere happens again when the step does."
    " Nor is whether a table is unlogged: a crash of PostgreSQL empties it, and the records of the steps that"
    " filled it stay."
)
HARMLESS: Final = "a second time changes nothing more"
UNKNOWN: Final = "write it so that a second time does no harm; `dfc crashtest` tries it"
PATHS_SHOWN_MAX: Final = 4

Row = Mapping[str, Any]


def document(workflow: Workflow) -> Mapping[str, Any]:
    """The report as JSON."""
    return {"summary": NOT_COMPILED} if workflow.durability is None else workflow.durability


def as_json(workflows: Sequence[Workflow]) -> str:
    """The reports of all of them as one document."""
    return present.document([{"workflow": each.label, **document(each)} for each in workflows])


def show(workflow: Workflow, head: str) -> None:
    """Print the report, its first line behind `head`."""
    report = document(workflow)
    _line(f"{head}{report['summary']}")
    if workflow.durability is None:
        return
    rows: Sequence[Row] = report["steps"]
    _line("")
    shown = [_cells(row) for row in rows if row["how"] != "derived"]
    present.table(["step", "happens", "how", "when"], shown)
    _show_remarks(rows)
    _show_deaths(rows, report["deaths"])
    _line(f"\n{UNSEEN}")


def _cells(row: Row) -> list[str]:
    happens = (row["times"] or "").replace("_", " ") + (" *" if "untold" in row else "")
    return [row["path"], happens, row["why"], ", ".join(row.get("often", ()))]


def _show_remarks(rows: Sequence[Row]) -> None:
    """What else there is to say, each once, with the steps of which it is true."""
    said: dict[str, list[str]] = {}
    for row in rows:
        if row["times"] == "at_least_once":
            said.setdefault(HARMLESS if row.get("harmless") else UNKNOWN, []).append(f"`{row['path']}`")
        for remark in row.get("remarks", ()):
            said.setdefault(remark, []).append(f"`{row['path']}`")
        if "untold" in row:
            what = f"what {', '.join(row['untold'])} may do outside of the transaction"
            remark = f"* it cannot be told {what}: that would happen again"
            said.setdefault(remark, []).append(f"`{row['path']}`")
    if said:
        _line("")
    for remark, paths in said.items():
        _line(f"{_some(paths)}: {remark}")


def _show_deaths(rows: Sequence[Row], deaths: Mapping[str, Mapping[str, str]]) -> None:
    """What a death does, once for all steps of a kind."""
    _line("\nwhen the process dies")
    for how, death in deaths.items():
        _line(f"  {_some([row['path'] for row in rows if row['how'] == how])}")
        if death["before"] == death["during"]:
            _line(f"    {death['during']}")
            continue
        for moment in ("before", "during", "behind"):
            _line(f"    {moment}: {death[moment]}")
        _line(f"    what one sees: {death['seen']}")


def _some(paths: Sequence[str]) -> str:
    rest = len(paths) - PATHS_SHOWN_MAX
    return ", ".join(paths[:PATHS_SHOWN_MAX]) + (f" and {rest} more" if rest > 0 else "")


def _line(text: str) -> None:
    present.console.print(text, markup=False, soft_wrap=True)
