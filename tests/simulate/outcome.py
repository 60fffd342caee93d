"""How a part of a workflow has come to its end."""

from __future__ import annotations

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
    """A compensation that has completed at `at`, and is not undone yet.

    `optional`: whether it is still to be undone is left open. `early`: it may have been undone before its
    border was reached. `tracks`: the branches that it stands in of forks whose branches are unwound each for
    itself.
    """

    node: CompensateNode
    frame: str
    env: Env
    at: int
    optional: bool = False
    early: bool = False
    tracks: tuple[tuple[str, int], ...] = ()

    def before(self, other: Undo) -> bool:
        """Whether the order of the two is fixed."""
        tracks = dict(self.tracks)
        return all(tracks.get(fork, branch) == branch for fork, branch in other.tracks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a part. `at`: the number of the last thing that happened in it."""

    end: End
    at: int
    given: Given | None = None
    error: Trouble | None = None
    undos: tuple[Undo, ...] = field(default=())

    @property
    def done(self) -> bool:
        return self.end is End.DONE

    def passed_on(self) -> Outcome:
        """What it means for what comes after it."""
        return replace(self, undos=())


def marked(undos: tuple[Undo, ...], *, early: bool = False, optional: bool = False) -> tuple[Undo, ...]:
    """The undos with more freedom."""
    return tuple(replace(u, early=u.early or early, optional=u.optional or optional) for u in undos)


def tracked(undos: tuple[Undo, ...], fork: str, branch: int) -> tuple[Undo, ...]:
    """The undos as those of a branch that is unwound for itself."""
    return tuple(replace(u, tracks=(*u.tracks, (fork, branch))) for u in undos)
