"""What has run, as a reference sees it: the values of nodes by id, round by round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cmp_to_key
from typing import Any

from dfc.compiler.plan import Parameter
from tests.simulate.values import MISSING, Given, Trouble, plain


@dataclass(frozen=True, slots=True)
class Known:
    """What a node has given, or the error of one whose failure has no consequence.

    `soft`: it ran in a part that was stopped; whether it counts is left open. `ended`: the loops around it
    that have ended, the outermost first, and whether it is of their last round.
    """

    given: Given | None
    error: Trouble | None = None
    soft: bool = False
    ended: tuple[tuple[int, bool], ...] = ()


def _newer_first(one: Known, other: Known) -> int:
    """What the last round of a loop has given comes before what the loop has only carried on."""
    for (loop, last), (other_loop, other_last) in zip(one.ended, other.ended, strict=False):
        if loop != other_loop:
            return 0
        if last != other_last:
            return -1 if last else 1
    return 0


@dataclass(slots=True, eq=False)
class Env:
    """The values of a round, an attempt, an item, or the workflow; `carry` are those of earlier rounds."""

    parent: Env | None = None
    values: dict[str, Known] = field(default_factory=dict[str, Known])
    carry: dict[str, Known] = field(default_factory=dict[str, Known])

    def put(self, id: str, given: Given | None, *, error: Trouble | None = None, soft: bool) -> None:
        self.values[id] = Known(given, error, soft)

    def turn(self, *, soft: bool) -> None:
        """The next round: what has run so far is what has run before."""
        for id, known in self.values.items():
            self.carry[id] = Known(known.given, known.error, soft or known.soft)
        self.values = {}

    def hand_over(self, *, soft: bool, carried: bool = True) -> None:
        """What is around sees the last values."""
        assert self.parent is not None
        here = hash(self)
        last = {**self.carry, **self.values} if carried else self.values
        for id, known in last.items():
            ended = ((here, id in self.values), *known.ended) if carried else known.ended
            self.parent.values[id] = Known(known.given, known.error, soft or known.soft, ended)

    def snapshot(self) -> Env:
        """As it is now."""
        parent = None if self.parent is None else self.parent.snapshot()
        return Env(parent, dict(self.values), dict(self.carry))

    def found(self, parameter: Parameter) -> Iterator[Known | None]:
        """What a reference may stand for; None for nothing at all."""
        here: Env | None = self
        while here is not None:
            for values in (here.values, here.carry):
                sources = (parameter.source, *parameter.otherwise)
                found = [values[source] for source in sources if source in values]
                for known in sorted(found, key=cmp_to_key(_newer_first)):
                    yield known
                    if not known.soft:
                        return
            here = here.parent
        yield None

    def first(self, parameter: Parameter) -> Known | None:
        """What a reference stands for, where that is certain."""
        return next(self.found(parameter))

    def allows(self, parameter: Parameter, seen: Any) -> bool:
        """Whether this is what a statement may have seen of the source of a reference."""
        for known in self.found(parameter):
            given = None if known is None or known.error is not None else known.given
            if plain(MISSING if given is None else given) == seen:
                return True
            # What gives null because a step in it has failed without consequence may count as missing.
            if given is not None and plain(given) is None and seen == plain(MISSING):
                return True
        return False

    def allows_error(self, parameter: Parameter, seen: Any) -> bool:
        """Whether this is what a statement may have seen of the error of a step."""
        for known in self.found(parameter):
            if known is None or known.error is None:
                if seen is None:
                    return True
            elif seen is not None and seen["sqlstate"] == known.error.sqlstate:
                return True
        return False
