"""What an expression of a random plan may refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from dfc.compiler.plan import Parameter, Use
from tests.simulate.trees import written

Uses = Mapping[str, tuple[tuple[Use, str | None], ...]]
"""What may be wanted of a node's result: how, and which column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A name: the nodes that may have given its value, later ones first.

    `sure`: one of them has completed, if this point is reached at all. `firm`: which of them have is decided
    by the plan and the fates, not by who was faster.
    """

    ids: tuple[str, ...]
    sure: bool = True
    firm: bool = True


@dataclass(frozen=True, slots=True)
class Names:
    """What can be referred to at a point of the plan."""

    entries: tuple[Entry, ...] = ()

    def with_one(self, id: str, *, sure: bool = True) -> Names:
        return Names((*self.entries, Entry(ids=(id,), sure=sure)))

    def merged(self, other: Names, common: Names) -> Names:
        """What `other` has beyond `common`, too."""
        new = [entry for entry in other.entries if entry not in common.entries]
        return Names((*self.entries, *(entry for entry in new if entry not in self.entries)))

    def with_maybe(self, other: Names, *, firm: bool = True) -> Names:
        """What `other` has beyond this, as what may not have run."""
        new = [entry for entry in other.entries if entry not in self.entries]
        weak = (replace(entry, sure=False, firm=firm and entry.firm) for entry in new)
        return Names((*self.entries, *(entry for entry in weak if entry not in self.entries)))

    def without(self, id: str) -> Names:
        return Names(tuple(entry for entry in self.entries if entry.ids != (id,)))

    def with_either(self, first: str, second: str, uses: Uses) -> Names:
        """A name that both branches of an if have given."""
        if first[0] not in "sh" or second[0] not in "sh" or (Use.VALUE, None) not in uses[first]:
            return self
        if (Use.VALUE, None) not in uses[second]:
            return self
        both = [entry for entry in self.entries if entry.ids in ((first,), (second,))]
        firm = len(both) == 2 and all(entry.firm for entry in both)
        return Names((*self.entries, Entry(ids=(second, first), sure=False, firm=firm)))


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference without its place in a text."""

    parameter: Parameter

    def within(self) -> Parameter:
        return self.parameter

    def alone(self) -> Parameter:
        """As a reference that is a whole node."""
        return replace(self.parameter, start=0, end=len(written(self.parameter)))

    def of_items(self, uses: Uses) -> Reference:
        """All that the source gives, as the items of a map."""
        use = Use.ROWS if (Use.ROWS, None) in uses[self.parameter.source] else Use.VALUE
        return Reference(replace(self.parameter, use=use, column=None, optional=False))


def picked(random: Random, names: Names, many: int) -> Sequence[Entry]:
    """Some of the names."""
    return random.sample(names.entries, min(many, len(names.entries)))


def reference(random: Random, entry: Entry, uses: Uses) -> Reference:
    """A reference to a name, as its nodes allow."""
    source, *otherwise = entry.ids
    use, column = random.choice(uses[source]) if not otherwise else (Use.VALUE, None)
    if not entry.sure and not otherwise and source[0] in "sh" and random.random() < 0.3:
        use, column = Use.ERROR, random.choice(("message", "sqlstate"))
    optional = not entry.sure and use is Use.VALUE
    if use in (Use.ROWS, Use.JSON, Use.ROW_COUNT) and not entry.sure:
        use, column, optional = Use.VALUE, None, True
    name = source.strip("[]!")
    return Reference(
        Parameter(
            name=name,
            source=source,
            use=use,
            start=0,
            end=0,
            column=column,
            optional=optional,
            otherwise=tuple(otherwise),
        )
    )
