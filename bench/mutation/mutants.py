"""A broken workflow, and what the ways to break one have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bench.mutation.seeds import Body, Seed
from dfc.compiler.span import Span


class Needs(StrEnum):
    """What is needed to see that a mutant is broken.

    `NOTHING`: its text alone. `LINT`: the same, and the answer is a warning. `ORACLE`: PostgreSQL is asked
    whether it refuses the statement; where it does so for its syntax, the text alone suffices too.
    """

    NOTHING = "text"
    LINT = "lint"
    ORACLE = "server"


@dataclass(frozen=True, slots=True)
class Edit:
    """A statement of a step with `sql[start:end]` replaced."""

    body: Body
    start: int
    end: int
    by: str

    @property
    def sql(self) -> str:
        return self.body.sql[: self.start] + self.by + self.body.sql[self.end :]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken workflow. `places` are where a message may point: the tokens that are wrong."""

    text: str
    places: tuple[Span, ...]
    edit: Edit | None = None


Breaks = Callable[[Seed], Iterator[Mutant]]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to break a workflow: every mutant that it makes of one."""

    name: str
    needs: Needs
    breaks: Breaks

    @property
    def inner(self) -> bool:
        """Whether it breaks the SQL of a step, so that a workflow of one step will do."""
        return self.needs is Needs.ORACLE or self.name.startswith("SQL: ")


WAYS: list[Way] = []
"""All of them, in the order of the table."""


def way(name: str, needs: Needs = Needs.NOTHING) -> Callable[[Breaks], Breaks]:
    """Makes a function one of the ways."""

    def add(breaks: Breaks) -> Breaks:
        WAYS.append(Way(name, needs, breaks))
        return breaks

    return add


def replaced(text: str, span: Span, by: str, *places: Span) -> Mutant:
    """The text with a run replaced; it is to blame, unless other places (in the new text) are given."""
    changed = text[: span.start] + by + text[span.end :]
    return Mutant(changed, places or (Span(span.start, span.start + max(len(by), 1)),))


def misspelled(name: str) -> str:
    """The name with two letters exchanged, or one more where all are the same."""
    for index in range(len(name) - 1, 0, -1):
        if name[index] != name[index - 1] and (name[index] + name[index - 1]).isalpha():
            return name[: index - 1] + name[index] + name[index - 1] + name[index + 1 :]
    return name + "x"
