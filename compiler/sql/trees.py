"""Parse trees of PostgreSQL's own parser, as values: for what sees more than tokens.

A node is a mapping from its fields, as libpg_query writes them; `kind_of` says what it is. Places are offsets
of the text in code points.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, cast

from dfc.compiler.sql import native
from dfc.compiler.sql.tokens import Token, split_comments, tokens

Node = Mapping[str, Any]

TREE_DEPTH_MAX = 8_000
"""Up to here no tree can overflow a C stack of 8 MB when it is written as JSON: some 200 bytes each."""
TREE_TOKENS_MAX = 150_000


def tree_of(sql: str, items: list[Token] | None = None) -> Node | native.Fault | None:
    """The one statement of `sql`, wrapped in its kind; None where none is there, or safe to read.

    `items` are the tokens of `sql`, if these are at hand. The time is linear in the length.
    """
    if len(sql) > TREE_DEPTH_MAX:
        items = tokens(sql, split_comments(sql)[0]) if items is None else items
        if len(items) > TREE_TOKENS_MAX or depth_bound(items) > TREE_DEPTH_MAX:
            return None
    try:
        written = native.tree(sql)
        if isinstance(written, native.Fault):
            return written
        statements: list[Node] = json.loads(written).get("stmts", [])
    except (RecursionError, ValueError):
        # json's own limit of depth; NUL and lone surrogates.
        return None
    return cast(Node, statements[0].get("stmt")) if len(statements) == 1 else None


def depth_bound(items: list[Token]) -> int:
    """More than the depth of the tree can be: the tokens between two commas, summed up over the brackets."""
    deepest = 0
    above: list[int] = []
    base = length = 0
    for token in items:
        word = token.word
        if word in ("(", "["):
            above.append(length)
            base += length + 1
            length = 0
        elif word in (")", "]"):
            length = (above.pop() if above else 0) + 1
            base -= min(base, length)
        elif word == ",":
            length = 0
        else:
            length += 1
        deepest = max(deepest, base + length)
    return deepest


def unwrapped(node: Node | None) -> tuple[str, Node]:
    """The kind of a wrapped node (`{"ColumnRef": {...}}`) and its fields; `` for none."""
    if not node:
        return "", {}
    kind, fields = next(iter(node.items()))
    return kind, fields


def names_of(parts: Any) -> list[str]:
    """The strings of a list of String nodes, such as a qualified name."""
    return [part["String"].get("sval", "") for part in parts or () if "String" in part]


def every(node: Any) -> Iterator[Node]:
    """All objects of a tree, wrapped nodes and fields alike; without recursion."""
    todo: list[Any] = [node]
    while todo:
        here = todo.pop()
        if isinstance(here, dict):
            fields = cast("dict[str, Any]", here)
            yield fields
            todo += fields.values()
        elif isinstance(here, list):
            todo += cast("list[Any]", here)


def first_place(node: Any) -> int | None:
    """The leftmost place of an expression in the text."""
    places = (fields.get("location") for fields in every(node))
    return min((place for place in places if isinstance(place, int) and place >= 0), default=None)


class Places:
    """Offsets in UTF-8, as PostgreSQL counts, to code points."""

    def __init__(self, sql: str) -> None:
        self._ends = () if sql.isascii() else tuple(accumulate(len(letter.encode()) for letter in sql))

    def __call__(self, node: Node) -> int | None:
        """Where a node says that it stands."""
        location = node.get("location", 0)
        if location < 0:
            return None
        return bisect_right(self._ends, location) if self._ends else location
