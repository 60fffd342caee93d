"""`dfc explain`: the graph of a workflow file as text."""

from __future__ import annotations

import click

from dfc.cli.compiling import compile_path, pick


@click.command("explain")
@click.argument("file")
@click.option("--workflow", metavar="NAME", help="Only the workflow with this label.")
def command(file: str, workflow: str | None) -> None:
    """Draw the graph of each workflow of FILE.

    `-` is standard input.
    """
    chosen = pick(compile_path(file), workflow)
    for index, each in enumerate(chosen):
        if len(chosen) > 1 or each.label:
            click.echo(("\n" if index else "") + (each.label or f"workflow {index + 1}") + ":")
        click.echo(each.drawing or "(variables decide what it does: it is compiled when it starts)")
