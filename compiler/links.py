"""What references stand for, and why some stand for nothing: the words in which `scope` answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from dfc.compiler.outline import Branch, Name
from dfc.compiler.sql.references import Reference

INPUT = "input"
ERROR = "error"


class Of(Enum):
    """What of a unit is meant: its result; the row a map runs its body for; the error a try has caught.

    INPUT is of the whole workflow, and of no unit.
    """

    RESULT = auto()
    ITEM = auto()
    ERROR = auto()
    INPUT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a reference may stand for. `name` is the naming, by index, that makes it so."""

    unit: int
    of: Of = Of.RESULT
    name: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A reference and what it may stand for, later written sources first."""

    reference: Reference
    sources: tuple[Source, ...]

    @property
    def only(self) -> Source | None:
        """The source, where it is certain which one it is."""
        return self.sources[0] if len(self.sources) == 1 else None


class Why(Enum):
    """Why a reference does not hold.

    UNKNOWN: nobody gives the name. PARALLEL: who does runs at the same time. EARLY: who does comes later;
    OWN: it stands inside of the very step that gives the name. MAYBE: who does may not have run. EXCLUDED:
    who does never runs together with it. HIDDEN: what gives the name keeps it to itself.
    """

    UNKNOWN = auto()
    PARALLEL = auto()
    EARLY = auto()
    OWN = auto()
    MAYBE = auto()
    EXCLUDED = auto()
    HIDDEN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose:
    """A reference of a unit that does not hold. `name` is the naming that does not hold there.

    `branch` is the one around the naming that is the reason, where there is one.
    """

    unit: int
    reference: Reference
    why: Why
    name: Name | None = None
    branch: Branch | None = None
