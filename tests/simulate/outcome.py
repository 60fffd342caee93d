"""How a part of a workflow has come to its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from dfc.compiler.plan import CompensateNode
from tests.simulate.env import Env
from tests.simulate.values import Given, Trouble


class End(Enum):
    """`LEFT`: by a break. `STOPPED`: it was interrupted, or had not come to its end when the instance did."""

    DONE = auto()
    ERROR = auto()
    LEFT = auto()
    STOPPED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """A compensation that has completed: `at` is the number of its last thing, `commit` that of its last
    record. `beside`: it stood beside a break, not on the way to it.
    """

    node: CompensateNode
    frame: str
    env: Env
    at: int
    commit: int
    beside: bool = False

    def after(self, other: Undo) -> bool:
        """Whether it surely was committed after the other one."""
        return self.at > other.at and self.commit > other.commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a part.

    `at` is the number of the last thing that happened in it, `commit` that of its last record that counts.
    """

    end: End
    at: int
    commit: int = 0
    given: Given | None = None
    error: Trouble | None = None
    undos: tuple[Undo, ...] = field(default=())
    late: Trouble | None = None
    """The error of a `finally` that the break has gone through."""

    @property
    def done(self) -> bool:
        return self.end is End.DONE

    def passed_on(self) -> Outcome:
        """What it means for what comes after it."""
        return replace(self, commit=0, undos=())

    def behind(self, *earlier: Outcome) -> Outcome:
        """The same, after these, which are parts of the same thing."""
        undos = tuple(undo for out in earlier for undo in out.undos)
        return replace(
            self,
            at=max(self.at, *(out.at for out in earlier)),
            commit=max(self.commit, *(out.commit for out in earlier)),
            undos=(*undos, *self.undos),
        )


def beside(undos: Iterable[Undo]) -> tuple[Undo, ...]:
    """The undos as those of what stood beside a break."""
    return tuple(replace(undo, beside=True) for undo in undos)
