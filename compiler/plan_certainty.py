"""Whether what a reference names can have run, and certainly has: asked of the plan alone.

When the end of a block is reached everything in it has run. Of blocks that exclude each other, or may be
stopped, all that come to their end have to hold a node, for one of these nodes to be certain. A loop ends
at its breaks, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    AtomicNode,
    BreakNode,
    CompensateNode,
    IfNode,
    LoopNode,
    MapNode,
    Node,
    RetryNode,
    TimeoutNode,
    TryNode,
)
from dfc.compiler.plan_shape import Level, Nest, Place


class Order(Enum):
    """How a node stands to one that refers to it.

    BEFORE: it may have run. ROUND: only in an earlier round of a loop around both. NEVER: not even that, or
    at the same time.
    """

    BEFORE = auto()
    ROUND = auto()
    NEVER = auto()


_ENDED = frozenset({("condition", "then"), ("condition", "else"), ("body", "while"), ("body", "undo")})
"""Two blocks of one node: when the second begins, the first has come to its end."""
_BEGUN = frozenset({("body", "else"), ("body", "catch"), ("body", "finally"), ("catch", "finally")})
"""Two blocks of one node: when the second begins, the first may have run in part."""


class Certainty:
    """Answers for one plan, whose order is sound. Takes time by nesting depth, and by breaks of loops."""

    def __init__(self, nest: Nest) -> None:
        self._nest = nest
        self._breaks: dict[str, list[Place]] = {}
        for level in nest.levels:
            for index, node in enumerate(level.nodes):
                if isinstance(node, BreakNode):
                    self._breaks.setdefault(node.loop, []).append(Place(level.number, index))
        self._hidden = [self._hides(level) for level in nest.levels]
        self._lifted: list[int] = []
        self._endless: set[int] = set()
        for level in reversed(nest.levels):
            if any(self._is_endless(Place(level.number, i), node) for i, node in enumerate(level.nodes)):
                self._endless.add(level.number)
        # The arms of each group of which one, or all, come to their end.
        self._live = {
            holder: [arm for arm in arms if arm not in self._endless] for holder, arms in nest.inner.items()
        }
        for level in nest.levels:
            self._lifted.append(self._lift(level))

    def _lift(self, level: Level) -> int:
        """The outermost block whose end says for certain that the end of this one was reached."""
        if level.holder is None:
            return level.number
        node = self._nest.node(level.holder)
        if isinstance(node, LoopNode) and node.id in self._breaks:
            return level.number  # where in the block something stands decides
        covers = self._covers(level.holder, {level.number: set()})
        return self._lifted[level.holder.block] if covers else level.number

    def order(self, source: Place, place: Place) -> Order:
        """Whether the node at `source` can have run when the one at `place` refers to it."""
        ways = {here.block: (here, role) for here, role in self._way(place)}
        hidden = False
        for here, role in self._way(source):
            if here.block in ways:
                return Order.NEVER if hidden else self._related(here, role, *ways[here.block])
            hidden = hidden or self._hidden[here.block]
        raise AssertionError("the outermost block holds everything")

    def _way(self, place: Place) -> Iterable[tuple[Place, str]]:
        """The places around a place, from the inside out, each with the role of the block left below it."""
        role = ""
        for here, level in self._nest.outwards(place):
            yield here, role
            role = level.role

    def _hides(self, level: Level) -> bool:
        """Whether what a block does has results that only it can see."""
        return level.role == "undo" or (
            level.holder is not None and isinstance(self._nest.node(level.holder), MapNode)
        )

    def _related(self, first: Place, first_role: str, second: Place, second_role: str) -> Order:
        """The order of what stands at or below two places of the same block."""
        level = self._nest.levels[first.block]
        if first != second:
            if level.shape.completes_before(first.index, second.index):
                return Order.BEFORE
            later = level.shape.completes_before(second.index, first.index)
            return self._round(level) if later else Order.NEVER
        if first_role and second_role:
            node = self._nest.node(first)
            if isinstance(node, ArmsNode):
                return Order.NEVER
            if (first_role, second_role) in _ENDED | _BEGUN:
                return Order.BEFORE
            if isinstance(node, LoopNode):
                return Order.ROUND
        return self._round(level)

    def _round(self, level: Level) -> Order:
        """ROUND where a loop is around a block, and nothing in between begins anew in each round."""
        while level.holder is not None and not self._hidden[level.number]:
            if isinstance(self._nest.node(level.holder), LoopNode):
                return Order.ROUND
            level = self._nest.levels[level.holder.block]
        return Order.NEVER

    # Certain

    def surely(self, sources: Sequence[Place], place: Place) -> bool:
        """Whether at least one of the nodes at `sources` has run when the one at `place` begins."""
        if any(self._is_simple(source, place) for source in sources):
            return True
        covered: dict[int, set[int]] = {}
        asked: dict[int, set[int]] = {}
        for source in sources:
            for here, _ in self._nest.outwards(source):
                asked.setdefault(here.block, set()).add(here.index)
        known = set(sources)
        # Inner blocks have higher numbers than those around them.
        for number in sorted(asked, reverse=True):
            for index in asked[number]:
                here = Place(number, index)
                if here in known or self._covers(here, covered):
                    covered.setdefault(number, set()).add(index)
        return self._reached(place, None, covered)

    def _is_simple(self, source: Place, place: Place) -> bool:
        """Whether a node alone is certain at a place, by the blocks around it alone."""
        levels = self._nest.levels
        around = {here.block: here for here, _ in self._nest.outwards(place)}
        top = self._lifted[source.block]
        here = source
        while here.block not in around:
            if here.block == top:
                return False
            holder = levels[here.block].holder
            assert holder is not None, "the outermost block is around everything"
            here = holder
        after = around[here.block]
        return here != after and levels[here.block].shape.completes_before(here.index, after.index)

    def _covers(self, place: Place, covered: dict[int, set[int]]) -> bool:
        """Whether at the end of a node with blocks one of the nodes asked for has run."""
        node = self._nest.node(place)
        if isinstance(node, ArmsNode):
            if node.mode is not ArmsMode.RACE:
                return any(self._nest.levels[block].holder == place for block in covered)
            live = self._live[place]
            return len(live) <= len(covered) and all(arm in covered for arm in live)
        blocks = self._nest.inner.get(place, ())
        held = [block in covered for block in blocks]
        # A block that never ends is no way to the end of the node.
        fine = [block in covered or block in self._endless for block in blocks]
        match node:
            case IfNode():
                return held[0] or (node.otherwise is not None and fine[1] and fine[2])
            case LoopNode():
                breaks = self._breaks.get(node.id, [])
                if not breaks:
                    return any(held)
                ends = not _repeats_for_ever(node) and blocks[0] not in self._endless
                return (any(held) or not ends) and all(self._reached(at, place, covered) for at in breaks)
            case AtomicNode() | RetryNode() | CompensateNode():
                return held[0]
            case TimeoutNode():
                return all(fine)
            case TryNode():
                return (fine[0] and fine[1]) or (node.final is not None and held[2])
            case _:
                return False

    def _reached(self, place: Place, stop: Place | None, covered: dict[int, set[int]]) -> bool:
        """Whether one of the covered nodes has run before the one at `place`, inside of the one at `stop`."""
        for here, level in self._nest.outwards(place):
            if here == stop:
                return False
            before = covered.get(level.number, ())
            if any(level.shape.completes_before(index, here.index) for index in before):
                return True
            for block in () if level.holder is None else self._nest.inner[level.holder]:
                other = self._nest.levels[block]
                if (other.role, level.role) in _ENDED and block in covered:
                    return True
        return False

    def _is_endless(self, place: Place, node: Node) -> bool:
        """Whether control never comes to what stands behind a node. Inner blocks have been asked before."""
        ends = [block in self._endless for block in self._nest.inner.get(place, ())]
        match node:
            case BreakNode():
                return True
            case IfNode():
                return ends[0] or (node.otherwise is not None and all(ends[1:]))
            case LoopNode():
                return node.id not in self._breaks and (_repeats_for_ever(node) or ends[0])
            case ArmsNode(mode=ArmsMode.RACE):
                return all(ends)
            case ArmsNode():
                return any(ends)
            case AtomicNode() | RetryNode() | CompensateNode():
                return ends[0]
            case TimeoutNode():
                return ends[-1]
            case TryNode():
                return (ends[0] and ends[1]) or (node.final is not None and ends[2])
            case _:
                return False


def _repeats_for_ever(node: LoopNode) -> bool:
    return node.condition is None and node.every is None
