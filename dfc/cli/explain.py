"""`dfc explain`: the workflows of a file as drawings."""

from __future__ import annotations

import click

from dfc.cli.compiling import compile_path, pick
from dfc.cli.sources import Workflow
from dfc.compiler.drawing import drawing
from dfc.compiler.wire import read


@click.command("explain")
@click.argument("file")
@click.option("--workflow", metavar="NAME", help="Only the workflow with this label.")
@click.option(
    "--plan", "as_plan", is_flag=True, help="Draw the graph that is run, with the ids of its nodes."
)
def command(file: str, workflow: str | None, as_plan: bool) -> None:
    """Draw each workflow of FILE, as df.explain does.

    `-` is standard input.
    """
    chosen = pick(compile_path(file), workflow)
    for index, each in enumerate(chosen):
        if len(chosen) > 1 or each.label:
            click.echo(("\n" if index else "") + (each.label or f"workflow {index + 1}") + ":")
        click.echo(_planned(each) if as_plan else _drawn(each))


def _drawn(workflow: Workflow) -> str:
    tree = read(workflow.wire).tree
    assert tree is not None, "what compiles can be read"
    return "\n".join(drawing(tree))


def _planned(workflow: Workflow) -> str:
    return workflow.drawing or "(variables decide what it does: it is compiled when it starts)"
