"""Reads the parse trees of the deepest statements that `tree_of` takes, on a small stack. A crash ends it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from dfc.compiler.sql.tokens import split_comments, tokens
from dfc.compiler.sql.trees import TREE_DEPTH_MAX, depth_bound, tree_of

SHAPES: dict[str, Callable[[int], str]] = {
    "operators": lambda n: "SELECT " + " || ".join(["a"] * n),
    "brackets": lambda n: "SELECT " + "(" * n + "1" + ")" * n,
    "queries": lambda n: "SELECT " + "(SELECT " * n + "1" + ")" * n,
    "tables": lambda n: "SELECT 1 FROM " + "(SELECT 1 FROM " * n + "t" + ") x" * n,
    "unions": lambda n: " UNION ".join(["SELECT 1"] * n),
    "signs": lambda n: "SELECT " + "- " * n + "a",
    "negations": lambda n: "SELECT " + "NOT " * n + "a",
    "casts": lambda n: "SELECT a" + "::b" * n,
    "subscripts": lambda n: "SELECT a" + "[1]" * n,
    "cases": lambda n: "SELECT " + "CASE WHEN a THEN " * n + "1" + " END" * n,
    "joins": lambda n: "SELECT 1 FROM t " + "JOIN t ON true " * n,
    "calls": lambda n: "SELECT " + "f(" * n + "1" + ")" * n,
    "arrays": lambda n: "SELECT ARRAY" + "[" * n + "1" + "]" * n,
    "collations": lambda n: "SELECT a" + " COLLATE x" * n,
    "tests": lambda n: "SELECT a" + " IS NULL" * n,
    "withs": lambda n: "WITH a AS (" * n + "SELECT 1" + ") SELECT 1" * n,
    "rows": lambda n: "SELECT " + "ROW(1, " * n + "1" + ")" * n,
}


def deepest(shape: Callable[[int], str]) -> str:
    """The deepest statement of a shape that is not too deep."""
    low, high = 1, 2 * TREE_DEPTH_MAX
    while low < high:
        middle = (low + high + 1) // 2
        sql = shape(middle)
        fits = depth_bound(tokens(sql, split_comments(sql)[0])) <= TREE_DEPTH_MAX
        low, high = (middle, high) if fits else (low, middle - 1)
    return shape(low)


def read(sql: str) -> None:
    """Read it."""
    tree_of(sql, tokens(sql, split_comments(sql)[0]))


if __name__ == "__main__":
    threading.stack_size(int(sys.argv[2]))
    thread = threading.Thread(target=read, args=(deepest(SHAPES[sys.argv[1]]),))
    thread.start()
    thread.join()
    sys.stdout.write("alive\n")
