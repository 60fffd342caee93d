"""A file that was looked at, and what was found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dfc.cli.sources import Compiled, Problem, Unreadable
from dfc.cli.sources import CompileFile as CompileFile

STDIN = "<stdin>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A file: `text` is None where it cannot be read. `rendered` has no colour unless it was asked for."""

    name: str
    text: str | None
    problems: tuple[Problem, ...]
    workflows: int
    rendered: str


def name_of(path: str) -> str:
    """The name under which messages show a path."""
    return STDIN if path == "-" else path


def examined(compilation: Compiled, *, notes: bool, color: bool) -> Examined:
    """A file that has been compiled."""
    return Examined(
        name=compilation.name,
        text=compilation.text,
        problems=compilation.problems,
        workflows=len(compilation.workflows),
        rendered=compilation.shown(notes=notes, color=color) if compilation.problems else "",
    )


def unreadable(error: Unreadable) -> Examined:
    """A file that is no text: its source, if it can be shown, with the place that is wrong."""
    text = None if error.source is None else error.source.text
    return Examined(
        name=error.name, text=text, problems=(error.problem(),), workflows=0, rendered=error.rendered()
    )


def relative(name: str) -> str:
    """A path as seen from the folder in which this process runs, with `/`; an absolute one outside of it."""
    path = Path(name)
    if ".." in path.parts:
        # As the system finds it: what is in front of `..` may be a link.
        path = path.parent.resolve() / path.name
    here = Path.cwd()
    if path.is_absolute() and path.is_relative_to(here):
        path = path.relative_to(here)
    return f"/{path.as_posix().lstrip('/')}" if path.is_absolute() else path.as_posix()
