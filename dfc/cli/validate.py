"""`dfc validate`: all problems of files and folders in one run."""

from __future__ import annotations

import click

from dfc.cli.batch import compiler
from dfc.cli.depths import depth
from dfc.cli.reports.report import FORMS, Report
from dfc.cli.sources import find


@click.command("validate")
@click.argument("paths", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(FORMS), default="human", help="Default: human.")
@click.option(
    "--schema",
    "schemas",
    multiple=True,
    metavar="FILE",
    help="DDL that the steps are checked against, for example of `pg_dump --schema-only`; repeatable.",
)
@click.option("--exact", is_flag=True, help="Ask PostgreSQL, in a scratch database with that DDL.")
@click.option("--database", metavar="URL", help="Ask PostgreSQL, in this database; nothing is run there.")
@click.option("--fix", is_flag=True, help="Apply what is safe, and say what was changed.")
@click.option("--diff", is_flag=True, help="Show what --fix would change, and change nothing.")
@click.option("--notes", is_flag=True, help="Show notes, too (json and sarif have them always).")
@click.option("--strict", is_flag=True, help="Warnings fail, too.")
def command(
    paths: tuple[str, ...],
    form: str,
    schemas: tuple[str, ...],
    exact: bool,
    database: str | None,
    fix: bool,
    diff: bool,
    notes: bool,
    strict: bool,
) -> int:
    """Check files, and every *.dfsql in folders.

    Exit code 0: no errors; 1: errors (with --strict: or warnings; with --diff: or something to fix). `-` is
    standard input.
    """
    if fix and (diff or "-" in paths):
        raise click.UsageError("--fix writes files: give it neither `-` nor --diff")
    if ("-" in paths) + schemas.count("-") > 1:
        raise click.UsageError("standard input can be read only once")
    files = find(paths)
    # Who knows a schema knows all that can be told without one.
    alone = not (schemas or exact or database)
    # Nobody looks at the plans where there is no schema and nothing to change.
    brief = alone and not (fix or diff)
    report = Report(form=form, notes=notes, fix=fix, diff=diff)
    with (
        compiler(files, schemas, closely=alone, brief=brief) as compile_file,
        depth(compile_file, schemas, exact=exact, database=database) as deepen,
    ):
        for file in files:
            report.look(file, lambda name, text: deepen(compile_file(name, text)))
    report.finish()
    return 1 if report.failed(strict=strict) else 0
