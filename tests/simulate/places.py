"""Where the nodes of a plan stand: what is around each of them, and what a path means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dfc.compiler.plan import Block, LoopNode, MapNode, Node, Plan, RetryNode, blocks_of

_FRAME = re.compile(r"([^/\[\]]+)\[(\d+)\]/")

SHELTERED = frozenset({"finally", "undo"})
"""The parts that an unwinding runs instead of stopping them."""


@dataclass(frozen=True, slots=True)
class Around:
    """A structure around a node, and the part of it that the node stands in."""

    node: Node
    part: str


@dataclass(frozen=True, slots=True)
class Place:
    """A node, the block that it stands in, and what is around it, from outside in."""

    node: Node
    block: Block
    around: tuple[Around, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """A path taken apart: `a[1]/b[2]/c/response` is in the frames (a, 1), (b, 2), of node c."""

    frames: tuple[tuple[str, int], ...]
    frame: str
    node: str
    suffix: str


def where(path: str) -> Where:
    """What a path says."""
    frames: list[tuple[str, int]] = []
    at = 0
    while (found := _FRAME.match(path, at)) is not None:
        frames.append((found[1], int(found[2])))
        at = found.end()
    node, _, suffix = path[at:].partition("/")
    return Where(tuple(frames), path[:at], node, suffix)


def has_frames(node: Node) -> bool:
    """Whether the paths of its body have its id and a number in front."""
    return isinstance(node, LoopNode | MapNode | RetryNode)


@dataclass(slots=True)
class Places:
    """The places of all nodes of a plan, by id."""

    plan: Plan
    by_id: dict[str, Place] = field(default_factory=dict[str, Place])
    _ids: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])

    def __post_init__(self) -> None:
        self._add(Block(nodes=self.plan.nodes, result=self.plan.result), ())

    def _add(self, block: Block, around: tuple[Around, ...]) -> None:
        for node in block.nodes:
            self.by_id[node.id] = Place(node, block, around)
            for part, inner in blocks_of(node):
                self._add(inner, (*around, Around(node, part)))

    def all(self) -> list[Node]:
        """All nodes."""
        return [place.node for place in self.by_id.values()]

    def node(self, path: str) -> Node:
        """The node that a path belongs to."""
        return self.by_id[where(path).node].node

    def ids(self, block: Block) -> tuple[str, ...]:
        """The ids of the nodes of a block and the blocks in it, as far as they share its frame."""
        known = self._ids.get(id(block))
        if known is None:
            known = self._ids[id(block)] = tuple(_in_frame(block))
        return known

    def inside(self, node: Node) -> list[str]:
        """The ids of the nodes in a node that share its frame."""
        return [id for _, block in blocks_of(node) for id in self.ids(block)]

    def surroundings(self, path: str) -> list[tuple[Around, str, str]]:
        """What is around a path, from outside in; with the structure's path and its part's frame."""
        at = where(path)
        found: list[tuple[Around, str, str]] = []
        frame = ""
        frames = list(at.frames)
        for around in self.by_id[at.node].around:
            of = frame + around.node.id
            if has_frames(around.node) and frames and frames[0][0] == around.node.id:
                frame += f"{around.node.id}[{frames[0][1]}]/"
                frames.pop(0)
            found.append((around, of, frame))
        return found


def _in_frame(block: Block) -> Iterator[str]:
    for node in block.nodes:
        yield node.id
        if not has_frames(node):
            for _, inner in blocks_of(node):
                yield from _in_frame(inner)


def nodes_in(block: Block) -> Iterator[Node]:
    """All nodes of a block and of the blocks in it."""
    for node in block.nodes:
        yield node
        for _, inner in blocks_of(node):
            yield from nodes_in(inner)
