"""`dfc explain`: the workflows of a file as drawings; the page of a code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from dfc.cli import durability
from dfc.cli.compiling import compile_path, pick
from dfc.cli.errors import CliError
from dfc.cli.reports import pages
from dfc.cli.sources import Workflow
from dfc.compiler.drawing import drawing
from dfc.compiler.wire import read


@click.command("explain")
@click.argument("file")
@click.option("--workflow", metavar="NAME", help="Only the workflow with this label.")
@click.option(
    "--plan", "as_plan", is_flag=True, help="Draw the graph that is run, with the ids of its nodes."
)
@click.option(
    "--durability",
    "as_report",
    is_flag=True,
    help="Say of each step how often it happens when processes die, and what a death does there.",
)
@click.option("--json", "as_document", is_flag=True, help="With --durability: print the report as JSON.")
def command(file: str, workflow: str | None, as_plan: bool, as_report: bool, as_document: bool) -> None:
    """Draw each workflow of FILE, as df.explain does; or print what a code means: `dfc explain DF203`.

    `-` is standard input.
    """
    if as_report and as_plan:
        raise click.UsageError("--durability is no drawing: leave out --plan")
    if as_document and not as_report:
        raise click.UsageError("--json goes with --durability")
    code = None if _is_there(file) else pages.code_of(file)
    if code is not None:
        click.echo(_page(code))
        return
    chosen = pick(compile_path(file, durability=as_report), workflow)
    if as_report:
        _report(chosen, as_document)
        return
    for index, each in enumerate(chosen):
        if len(chosen) > 1 or each.label:
            click.echo(("\n" if index else "") + (each.label or f"workflow {index + 1}") + ":")
        click.echo(_planned(each) if as_plan else _drawn(each))


def _page(code: str) -> str:
    found = pages.page(code)
    if found is not None:
        return found.text.rstrip("\n")
    near = " or ".join(f"`{each}`" for each in pages.near_codes(code))
    hint = f": did you mean {near}?" if near else ""
    raise CliError(f"there is no code `{code}`{hint}")


def _is_there(file: str) -> bool:
    try:
        return Path(file).exists()
    except (OSError, ValueError):
        # Such as a name that is too long.
        return True


def _report(chosen: Sequence[Workflow], as_document: bool) -> None:
    if as_document:
        click.echo(durability.as_json(chosen))
        return
    for index, each in enumerate(chosen):
        if index:
            click.echo()
        named = len(chosen) > 1 or each.label
        durability.show(each, f"{each.label or f'workflow {index + 1}'}: " if named else "")


def _drawn(workflow: Workflow) -> str:
    tree = read(workflow.wire).tree
    assert tree is not None, "what compiles can be read"
    return "\n".join(drawing(tree))


def _planned(workflow: Workflow) -> str:
    return workflow.drawing or "(variables decide what it does: it is compiled when it starts)"
