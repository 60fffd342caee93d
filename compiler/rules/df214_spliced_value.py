"""DF214: a variable's text is put into a statement where a value belongs."""

from __future__ import annotations

from collections.abc import Iterator

from dfc.compiler.ast import Map, Sql, Text
from dfc.compiler.diagnostics import Diagnostic, lint
from dfc.compiler.facts import Facts
from dfc.compiler.sql.splices import spliced_values


def spliced_value(facts: Facts) -> Iterator[Diagnostic]:
    """Look at every statement with a `{name}`."""
    for found in facts.outline.units:
        match found.tree:
            case Sql(query=text) | Map(items=Sql(query=text)):
                yield from _in(text, facts)
            case _:
                pass


def _in(text: Text, facts: Facts) -> Iterator[Diagnostic]:
    for splice in spliced_values(text.value, facts.beside.variables):
        yield lint(
            "DF214",
            f"the text of `{splice.name}` becomes part of this statement",
            text.locate(splice.start, splice.end),
            label="a value belongs here",
            help=f"give the workflow an input and write `$input.{splice.name}`, a value that is never code",
        )
