"""The nesting of a plan: which block holds which, and in a block which join closes which branch.

The nodes of a block are series-parallel: a node waits for at most one other, and only a join waits for
several. So "the last node that has surely completed before this one" is a tree (the dominator tree, here by
Cooper, Harvey and Kennedy's intersection of finger pointers, which needs one pass on a DAG in
topological order), and every question about ancestors is answered from that tree and the joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from dfc.compiler.plan import JoinNode, Node, Plan, blocks_of

START = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """By index of a node in the plan: what dominates it, and which join ends the branch it stands in.

    `before[i]` is the last node that lies on every way to node i (for a join: where its branches fork);
    START where nothing does. `closed_by[i]` is the join at the end of the branch of node i; START in the
    outermost chain.
    """

    before: tuple[int, ...]
    closed_by: tuple[int, ...]
    _entry: tuple[int, ...]
    _exit: tuple[int, ...]

    def dominates(self, first: int, second: int) -> bool:
        """Whether every way to `second` leads through `first` (or they are the same)."""
        return self._entry[first] <= self._entry[second] and self._exit[second] <= self._exit[first]

    def completes_before(self, first: int, second: int) -> bool:
        """Whether `first` has certainly completed when `second` begins. Takes time by nesting depth."""
        if first == second:
            return False
        here = first
        while here != START:
            if self.dominates(here, second):
                return True
            here = self.closed_by[here]
        return False


@dataclass(frozen=True, slots=True)
class Place:
    """A node, by the number of its block and its index there."""

    block: int
    index: int


@dataclass(frozen=True, kw_only=True)
class Level:
    """A block: its nodes, the node that runs it, and as what. The outermost has no holder."""

    number: int
    nodes: Sequence[Node]
    holder: Place | None = None
    role: str = ""

    @cached_property
    def shape(self) -> Shape:
        """The nesting of groups in the block. Its order has to be sound."""
        return shape(self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nest:
    """All blocks of a plan, each behind the one that holds it, and where each node stands."""

    levels: tuple[Level, ...]
    places: Mapping[str, Place]
    inner: Mapping[Place, tuple[int, ...]]
    """The blocks of each node that has some, in the order of `blocks_of`."""

    def node(self, place: Place) -> Node:
        """The node at a place."""
        return self.levels[place.block].nodes[place.index]

    def outwards(self, place: Place) -> Iterator[tuple[Place, Level]]:
        """A place and those of the nodes around it, from the inside out, each with its block."""
        here: Place | None = place
        while here is not None:
            level = self.levels[here.block]
            yield here, level
            here = level.holder


def nest(plan: Plan) -> Nest:
    """The blocks of a plan. Linear; of nodes with the same id the first counts."""
    levels = [Level(number=0, nodes=plan.nodes)]
    places: dict[str, Place] = {}
    inner: dict[Place, tuple[int, ...]] = {}
    for level in levels:
        for index, node in enumerate(level.nodes):
            place = Place(level.number, index)
            places.setdefault(node.id, place)
            blocks = blocks_of(node)
            if blocks:
                inner[place] = tuple(range(len(levels), len(levels) + len(blocks)))
            for role, block in blocks:
                levels.append(Level(number=len(levels), nodes=block.nodes, holder=place, role=role))
    return Nest(levels=tuple(levels), places=places, inner=inner)


def shape(nodes: Sequence[Node]) -> Shape:
    """The nesting of nodes in topological order whose `after` are known ids. Linear in their number."""
    number = {node.id: i for i, node in enumerate(nodes)}
    after = [[number[name] for name in node.after] for node in nodes]
    before = _dominators(after)
    closed_by = _closing_joins(nodes, after, before)
    entry, leave = _intervals(before)
    return Shape(before=tuple(before), closed_by=tuple(closed_by), _entry=tuple(entry), _exit=tuple(leave))


def _dominators(after: list[list[int]]) -> list[int]:
    before: list[int] = []
    depth: list[int] = []
    for sources in after:
        common = sources[0] if sources else START
        for other in sources[1:]:
            common = _common(common, other, before, depth)
        before.append(common)
        depth.append(0 if common == START else depth[common] + 1)
    return before


def _common(first: int, second: int, before: list[int], depth: list[int]) -> int:
    while first != second:
        if first == START or second == START:
            return START
        if depth[first] >= depth[second]:
            first = before[first]
        else:
            second = before[second]
    return first


def _closing_joins(nodes: Sequence[Node], after: list[list[int]], before: list[int]) -> list[int]:
    closed_by = [START] * len(nodes)
    known = [False] * len(nodes)
    for i in range(len(nodes) - 1, -1, -1):
        if isinstance(nodes[i], JoinNode):
            for last in after[i]:
                closed_by[last], known[last] = i, True
            same_branch = before[i]
        else:
            same_branch = after[i][0] if after[i] else START
        if same_branch != START and not known[same_branch]:
            closed_by[same_branch], known[same_branch] = closed_by[i], True
    return closed_by


def _intervals(before: list[int]) -> tuple[list[int], list[int]]:
    children: list[list[int]] = [[] for _ in before]
    roots: list[int] = []
    for i, parent in enumerate(before):
        (roots if parent == START else children[parent]).append(i)
    entry, leave = [0] * len(before), [0] * len(before)
    clock = 0
    stack = [~root for root in reversed(roots)]
    while stack:
        here = stack.pop()
        clock += 1
        if here >= 0:
            leave[here] = clock
            continue
        here = ~here
        entry[here] = clock
        stack.append(here)
        stack.extend(~child for child in children[here])
    return entry, leave
