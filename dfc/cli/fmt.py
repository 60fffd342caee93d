"""`dfc fmt`: workflow files in their canonical layout."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from dfc.cli.layouting import layouter
from dfc.cli.printing import has_color
from dfc.cli.replacing import difference, refusal, write
from dfc.cli.sources import Unreadable, compiled, decode, find, read_bytes
from dfc.compiler.render import clean
from dfc.executor.compiler_child import FormatReply

_BOM = b"\xef\xbb\xbf"


@click.command("fmt")
@click.argument("paths", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file is not in its layout.")
@click.option("--diff", "show", is_flag=True, help="Write nothing; show what would change.")
@click.option("--sql", is_flag=True, help="Queries in steps, too: white space between their tokens.")
def command(paths: tuple[str, ...], check: bool, show: bool, sql: bool) -> int:
    """Give files, and every *.dfsql in folders, their canonical layout and parentheses.

    SQL in steps and statements for the server stay as they are. A file with syntax errors is left alone. `-`
    is standard input, and then the result is on standard output. Exit code 1: errors, or with --check a file
    that would change.
    """
    files = find(paths)
    outcomes: dict[str, int] = {}
    with layouter(sql=sql) as lay_out:
        for file in files:
            outcome = _one(file, lay_out, writes=not (check or show), show=show)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    if files != ["-"] or check:
        click.echo(_summary(outcomes, writes=not (check or show)), err=True)
    failed = outcomes.get(_FAULTY) or outcomes.get(_REFUSED)
    return 1 if failed or (check and outcomes.get(_CHANGED)) else 0


_CHANGED, _SAME, _FAULTY, _REFUSED = "changed", "same", "faulty", "refused"


def _one(file: str, lay_out: Callable[[str, str], FormatReply], *, writes: bool, show: bool) -> str:
    """Lay out a file; what became of it."""
    name = "<stdin>" if file == "-" else file
    try:
        data = read_bytes(file)
        text = decode(name, data)
    except Unreadable as error:
        click.echo(error.rendered(), err=True)
        return _FAULTY
    reply = lay_out(name, text)
    if reply.formatted is None:
        found = compiled(name, text, (), reply.diagnostics, reply.rendered)
        click.echo(found.shown(notes=False, color=has_color(sys.stderr)), err=True)
        if writes and file == "-":
            click.echo(data, nl=False)
        return _FAULTY
    if reply.kept:
        click.echo(f"dfc: {clean(name)}: {reply.kept} statement(s) left as they are", err=True)
    result = (_BOM if data.startswith(_BOM) else b"") + reply.formatted.encode()
    if writes and file == "-":
        click.echo(result, nl=False)
    if result == data:
        return _SAME
    if show:
        for line in difference(name, text, reply.formatted):
            click.echo(line, color=True)  # as it is: click would take out what looks like a colour
    elif not writes:
        click.echo(clean(name) if sys.stdout.isatty() else name, color=True)
    if writes and file != "-":
        try:
            write(file, text, reply.formatted)
        except OSError as error:
            click.echo(f"dfc: {refusal(file, error)}", err=True)
            return _REFUSED
    return _CHANGED


def _summary(outcomes: dict[str, int], *, writes: bool) -> str:
    changed, same, faulty, refused = (outcomes.get(each, 0) for each in (_CHANGED, _SAME, _FAULTY, _REFUSED))
    parts = [f"{changed} {'laid out' if writes else 'would change'}"] if changed else []
    parts += [f"{same} left as they are" if same != 1 else "1 left as it is"] if same else []
    parts += [f"{faulty} with errors"] if faulty else []
    parts += [f"{refused} not written"] if refused else []
    return ", ".join(parts)
