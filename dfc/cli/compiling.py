"""Workflow files through the compiler's child process: this process never loads the parser."""

from __future__ import annotations

import sys

import click

from dfc.cli.errors import CliError
from dfc.cli.printing import has_color
from dfc.cli.sources import Compiled, Unreadable, Workflow, compiled, left_out, read
from dfc.compiler.source import Source
from dfc.executor.compiler_child import FileReply
from dfc.executor.compiler_pool import compilers


def compile_text(name: str, text: str, *, durability: bool = False) -> Compiled:
    """What the compiler says of one file, with a report on the durability of its workflows if wanted."""
    with compilers() as pool:
        return as_compiled(name, text, pool.compile_file(name, text, durability=durability))


def as_compiled(name: str, text: str, reply: FileReply) -> Compiled:
    """The compiler's answer for one file, as the commands use it."""
    return compiled(name, text, reply.statements, reply.diagnostics, reply.rendered)


def compile_path(path: str, refusal: str = "nothing to compile", *, durability: bool = False) -> Compiled:
    """Read and compile one file. Raises CliError, with its problems printed, unless it compiles; `refusal` is
    what the error says when there is no text to compile.
    """
    try:
        text = read(path)
    except Unreadable as error:
        click.echo(error.rendered(), err=True)
        raise CliError(refusal) from None
    return accepted(compile_text("<stdin>" if path == "-" else path, text, durability=durability))


def accepted(compilation: Compiled) -> Compiled:
    """Print the problems to standard error. Raises CliError when one of them is an error."""
    loud = compilation.shown(notes=False, color=has_color(sys.stderr))
    if loud:
        click.echo(loud, err=True)
    if compilation.failed:
        count = sum(problem.severity == "error" for problem in compilation.problems)
        raise CliError(f"{compilation.name} has {count} error{'s' if count != 1 else ''}")
    lost = left_out(compilation)
    if lost is not None:
        line, column = Source(compilation.name, compilation.text).position(lost)
        place = f"{compilation.name}:{line}:{column}"
        raise CliError(
            f"the compiler has left out the text at {place}: this is a fault of dfc; nothing was run"
        )
    return compilation


def pick(compilation: Compiled, name: str | None) -> tuple[Workflow, ...]:
    """The workflows of a file, or the one with this label. Raises CliError when there is none."""
    workflows = compilation.workflows
    if not workflows:
        raise CliError(f"{compilation.name} has no workflow: write `SELECT df.start(...);`")
    if name is None:
        return workflows
    chosen = tuple(each for each in workflows if each.label == name)
    if len(chosen) != 1:
        known = ", ".join(f"`{each.label}`" for each in workflows if each.label) or "none has a label"
        reason = "no workflow" if not chosen else "several workflows"
        raise CliError(f"{compilation.name} has {reason} with the label `{name}` ({known})")
    return chosen
