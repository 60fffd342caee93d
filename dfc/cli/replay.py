"""`dfc replay`: whether this program decides what was decided in recorded journals (docs/journal.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dfc.cli.errors import CliError
from dfc.executor.journal_json import UnreadableJournal
from dfc.executor.replay import Changed, replay


@click.command("replay")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
def command(files: tuple[Path, ...]) -> int:
    """Fold journals that `dfc export` has written once more, and compare each decision with the recorded one.

    Needs no database. Exit code 1 when a decision has changed.
    """
    code = 0
    for file in files:
        document = read(file)
        changed = replayed(file, document)
        if changed is not None:
            code = 1
            click.echo(f"{file}: changed at {changed}")
        else:
            entries = len(document["entries"])
            click.echo(f"{file}: {entries} entries, all decisions as recorded")
    return code


def read(file: Path) -> dict[str, Any]:
    """A document. Raises CliError."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CliError(f"there is no file `{file}`") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CliError(f"`{file}` cannot be read: {error}") from None
    if not isinstance(document, dict):
        raise CliError(f"`{file}` is not what `dfc export` writes")
    return document  # pyright: ignore[reportUnknownVariableType]


def replayed(file: Path, document: dict[str, Any]) -> Changed | None:
    """The first decision that has changed. Raises CliError."""
    try:
        return replay(document)
    except UnreadableJournal as error:
        raise CliError(f"`{file}`: {error}") from None
