"""Statements outside of a transaction: what a second run does when the first was not recorded."""

from __future__ import annotations

from typing import Final, NamedTuple

from dfc.compiler.sql.tokens import split_comments, tokens


class Again(NamedTuple):
    """What happens when it runs again, and what to do about it."""

    fact: str
    help: str


_HARMLESS: Final = frozenset(
    {
        *("alter database", "alter foreign table", "alter subscription", "alter system", "alter table"),
        *("analyze", "checkpoint", "cluster", "comment", "delete", "explain", "grant", "notify"),
        *("refresh materialized view", "reindex", "reset", "revoke", "select", "set", "show"),
        *("truncate table", "vacuum", "values"),
    }
)
"""Commands that leave the same when they run again."""
_WITHOUT_IF: Final = frozenset({"create database", "create tablespace", "create subscription"})


def repeated(sql: str, kind: str) -> Again | None:
    """What a second run does, where it is not the same as one run."""
    if kind in _HARMLESS or kind.startswith("discard"):
        return None
    words = [token.word for token in tokens(sql, split_comments(sql)[0])]
    if kind in ("call", "do"):
        what = "procedure" if kind == "call" else "block"
        return Again(
            f"this {kind.upper()} may run twice, and nobody knows whether its effects are the same then",
            f"let the {what} go on where it stopped",
        )
    if kind.startswith(("create ", "drop ")):
        if ("if" in words and "exists" in words) or words[1:3] == ["or", "replace"]:
            return None
        creates = kind.startswith("create ")
        fact = f"a second run of this {kind.upper()} fails, as it {'is' if creates else 'is not'} there"
        if kind in _WITHOUT_IF:
            return Again(fact, "let a step in front of it look, with `df.if(...)`")
        return Again(fact, f"write `IF {'NOT ' * creates}EXISTS`")
    if kind == "insert" and "conflict" in words:
        return None
    if kind in ("insert", "update", "merge"):
        return Again(
            f"this {kind.upper()} may run twice", "leave `autocommit` out, so that it runs exactly once"
        )
    return None
