"""What has run, as a reference sees it: the values of nodes by id, round by round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cmp_to_key
from typing import Any

from dfc.compiler.plan import Parameter
from tests.simulate.values import MISSING, Given, Trouble, plain, same_state


@dataclass(frozen=True, slots=True)
class Known:
    """What a node has given, or the error of one whose failure has no consequence.

    `soft`: it ran in a part that was stopped; whether it counts is left open, and `before` is what counts if
    it does not. `ended`: the loop that it is carried on by, or seen from outside of, and its place in the
    order in which things ran there.
    """

    given: Given | None
    error: Trouble | None = None
    soft: bool = False
    ended: tuple[int, int] | None = None
    before: Known | None = None


def _newer_first(one: Known, other: Known) -> int:
    """Of what one loop has given, what ran later comes first."""
    if one.ended is None or other.ended is None or one.ended[0] != other.ended[0]:
        return 0
    return other.ended[1] - one.ended[1]


def _over(known: Known, before: Known | None) -> Known:
    """The first, and the second where that does not count."""
    if before is None or not known.soft:
        return known
    return replace(known, before=before if known.before is None else _over(known.before, before))


@dataclass(slots=True, eq=False)
class Env:
    """The values of a round, an attempt, an item, or the workflow; `carry` are those of earlier rounds."""

    parent: Env | None = None
    values: dict[str, Known] = field(default_factory=dict[str, Known])
    carry: dict[str, Known] = field(default_factory=dict[str, Known])

    def put(self, id: str, given: Given | None, *, error: Trouble | None = None, soft: bool) -> None:
        self.values.pop(id, None)
        self.values[id] = Known(given, error, soft)

    def turn(self, *, soft: bool) -> None:
        """The next round: what has run so far is what has run before."""
        for id, known in self.values.items():
            before = self.carry.pop(id, None)
            self.carry[id] = _over(replace(known, soft=soft or known.soft), before)
        self.carry = {
            id: replace(known, ended=(hash(self), place))
            for place, (id, known) in enumerate(self.carry.items())
        }
        self.values = {}

    def hand_over(self, *, soft: bool, carried: bool = True) -> None:
        """What is around sees the last values."""
        assert self.parent is not None
        last = self.values
        if carried:
            last = {id: known for id, known in self.carry.items() if id not in self.values}
            last |= {id: _over(known, self.carry.get(id)) for id, known in self.values.items()}
        for place, (id, known) in enumerate(last.items()):
            before = self.parent.values.pop(id, None)
            ended = (hash(self), place) if carried else known.ended
            given = replace(known, soft=soft or known.soft, ended=ended)
            self.parent.values[id] = _over(given, before)

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
                for last in sorted(found, key=cmp_to_key(_newer_first)):
                    known: Known | None = last
                    while known is not None:
                        yield known
                        if not known.soft:
                            return
                        known = known.before
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
            elif seen is not None and same_state(seen["sqlstate"], known.error.sqlstate):
                return True
        return False
