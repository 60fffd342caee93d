"""`dfc compile`: a workflow file as a plan, or as the SQL that starts it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dfc.cli.compiling import compile_path, pick
from dfc.cli.copying import client_copy
from dfc.cli.errors import CliError
from dfc.cli.replacing import write_output
from dfc.cli.sources import START, Compiled, Server, Workflow
from dfc.compiler.signatures import SUBMISSIONS
from dfc.compiler.strings import quoted


@click.command("compile")
@click.argument("file")
@click.option("-o", "--output", metavar="PATH", help="Write to this file instead of standard output.")
@click.option("--sql", "as_sql", is_flag=True, help="A script for psql that starts the plan with df.start.")
@click.option("--workflow", metavar="NAME", help="Only the workflow with this label.")
def command(file: str, output: str | None, as_sql: bool, workflow: str | None) -> None:
    """Print the plan of each workflow of FILE as a JSON document.

    `-` is standard input.
    """
    compilation = compile_path(file, durability=not as_sql)
    chosen = pick(compilation, workflow)
    if as_sql:
        text = script(compilation, None if workflow is None else chosen)
    else:
        if output is not None and len(chosen) > 1:
            raise CliError(f"{compilation.name} has {len(chosen)} workflows: pick one with --workflow NAME")
        text = "".join(document(each) for each in chosen)
    if output is None:
        # With `color` click takes nothing out that looks like one, as in a literal of the file.
        click.echo(text, nl=False, color=True)
        return
    write_output(output, text)


def submission(workflow: Workflow) -> dict[str, object]:
    """What `df.start(jsonb)` takes: the plan together with the expression it came from."""
    return {"expression": workflow.wire, "plan": workflow.plan, "plan_hash": workflow.hash}


_OPTIONS = tuple([p.name for p in SUBMISSIONS["start"].parameters if p.name not in ("fut", "label")])


def starting(workflow: Workflow, label: str | None) -> dict[str, str | None]:
    """The parameters of the query `start`."""
    plan = json.dumps(submission(workflow), ensure_ascii=False)
    given = {name: workflow.options.get(name) for name in _OPTIONS}
    return {"plan": plan, "label": label, **given}


def document(workflow: Workflow) -> str:
    """The JSON document of a workflow, readable."""
    said: dict[str, object] = {} if workflow.submit == START else {"submit": workflow.submit}
    options: dict[str, object] = {"options": dict(workflow.options)} if workflow.options else {}
    report: dict[str, object] = {"durability": workflow.durability} if workflow.durability else {}
    found = {"label": workflow.label, **said, **options, **submission(workflow), **report}
    return json.dumps(found, ensure_ascii=False, indent=2) + "\n"


def script(compilation: Compiled, only: tuple[Workflow, ...] | None) -> str:
    """The file as SQL for psql: server statements as they are, workflows as compiled plans.

    With `only` nothing but these workflows.
    """
    lines = [f"-- {compilation.name}, compiled by dfc. Run it with psql.\n"]
    for each in compilation.statements if only is None else only:
        statement = each if isinstance(each, Server) or each.submit == START else compilation.server(each)
        if isinstance(statement, Server):
            copy = client_copy(statement.text, Path(compilation.name).parent)
            if copy is not None:
                lines.append(copy.psql.rstrip("; ") + "\n")
                continue
            lines.append(statement.text.strip().rstrip(";") + "\n;\n")
            continue
        plan = json.dumps(submission(statement), ensure_ascii=False, separators=(",", ":"))
        label = "" if statement.label is None else f", {quoted(statement.label)}"
        options = "".join(f", {name} => {quoted(text)}" for name, text in statement.options.items())
        lines.append(f"SELECT df.start({quoted(plan)}::jsonb{label}{options});\n")
    return "".join(lines)
