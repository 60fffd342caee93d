"""`dfc validate`: all problems of files and folders in one run."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from dfc.cli.batch import compiler
from dfc.cli.depths import depth
from dfc.cli.sources import Problem, Unreadable, find, read


@click.command("validate")
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--format", "form", type=click.Choice(["human", "json"]), default="human", help="Default: human."
)
@click.option(
    "--schema",
    "schemas",
    multiple=True,
    metavar="FILE",
    help="DDL that the steps are checked against, for example of `pg_dump --schema-only`; repeatable.",
)
@click.option("--exact", is_flag=True, help="Ask PostgreSQL, in a scratch database with that DDL.")
@click.option("--database", metavar="URL", help="Ask PostgreSQL, in this database; nothing is run there.")
@click.option("--notes", is_flag=True, help="Show notes, too (json has them always).")
@click.option("--strict", is_flag=True, help="Warnings fail, too.")
def command(
    paths: tuple[str, ...],
    form: str,
    schemas: tuple[str, ...],
    exact: bool,
    database: str | None,
    notes: bool,
    strict: bool,
) -> int:
    """Check files, and every *.dfsql in folders.

    Exit code 0: no errors; 1: errors (with --strict: or warnings). `-` is standard input.
    """
    files = find(paths)
    problems: list[Problem] = []
    workflows = 0
    with (
        compiler() as compile_file,
        depth(compile_file, schemas, exact=exact, database=database) as deepen,
    ):
        for file in files:
            try:
                compilation = deepen(compile_file("<stdin>" if file == "-" else file, read(file)))
            except Unreadable as error:
                problems.append(error.problem())
                rendered = error.rendered()
            else:
                workflows += len(compilation.workflows)
                problems.extend(compilation.problems)
                rendered = compilation.shown(notes=notes, color=sys.stdout.isatty())
            if rendered and form == "human":
                click.echo(rendered + "\n")
    failing = {"error", "warning"} if strict else {"error"}
    if form == "json":
        click.echo(json.dumps([dict(each.json) for each in problems], ensure_ascii=False, indent=2))
    else:
        click.echo(_summary(len(files), workflows, problems))
    if not files:
        click.echo(f"dfc: no *.dfsql in {', '.join(paths)}", err=True)
        return 1
    return 1 if any(each.severity in failing for each in problems) else 0


def _summary(files: int, workflows: int, problems: list[Problem]) -> str:
    counts: dict[str, int] = {}
    for problem in problems:
        counts[problem.severity] = counts.get(problem.severity, 0) + 1
    parts: list[Any] = [_count(files, "file"), _count(workflows, "workflow")]
    parts += [_count(counts[key], key) for key in ("error", "warning", "note") if key in counts]
    return ", ".join(parts) + ("" if problems else ", no problems")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
