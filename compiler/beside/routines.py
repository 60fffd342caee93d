"""What the body of a function does with tables.

A body in SQL is analysed like the statement of a step. That of another language is not parsed: a table is
taken for what the word in front of it says (`INSERT INTO t`, `FROM t`), where it is one that the DDL knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from dfc.compiler.ast import Text
from dfc.compiler.schema.split import pieces
from dfc.compiler.sql.analysis import analyse
from dfc.compiler.sql.tokens import Token, identifier, quoted, split_comments, tokens
from dfc.compiler.sql.trees import Node, names_of, unwrapped
from dfc.compiler.sql.uses import Effect, Use

_PUBLIC: Final = "public."
_SCANNED: Final = frozenset({"plpgsql"})
_SKIPPED: Final = frozenset({"only", "table", "lateral"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """`uses` have no place. `calls` are the functions that it calls. `known`: there is no more to it."""

    uses: tuple[Use, ...] = ()
    calls: tuple[str, ...] = ()
    known: bool = False


@dataclass(frozen=True, slots=True)
class Routine:
    """A function or procedure, by its text and tree, that is read when somebody wants to know."""

    text: str
    node: Node

    @property
    def name(self) -> str:
        """Its name, without the schema `public`."""
        return ".".join(names_of(self.node.get("funcname"))).removeprefix(_PUBLIC)

    def body(self, tables: Set[str]) -> Body:
        """What is in it; `tables` are those that the DDL knows."""
        language, source = "", ""
        for option in self.node.get("options", ()):
            _, fields = unwrapped(option)
            kind, value = unwrapped(fields.get("arg"))
            match fields.get("defname"):
                case "language":
                    language = value.get("sval", "").lower()
                case "as" if kind == "List":
                    source = "".join(names_of(value.get("items"))[:1])
                case _:
                    pass
        if "sql_body" in self.node:
            return _of_sql(_written_body(self.text))
        if language == "sql":
            return _of_sql(source)
        return scanned(source, tables) if language in _SCANNED else Body()


def plain(name: str) -> str:
    """A table's name without the schema in which it is looked for anyway."""
    return name.removeprefix(_PUBLIC)


def _written_body(text: str) -> str:
    """The statements of a body that is no string: BEGIN ATOMIC ... END, or RETURN and an expression."""
    items = tokens(text, split_comments(text)[0])
    for index, token in enumerate(items):
        if token.word == "atomic" and items[index - 1].word == "begin":
            return text[token.end : items[-1].start]
        if token.word == "return" and token.depth == 0:
            return f"SELECT {text[token.end :]}"
    return ""


@lru_cache(maxsize=256)
def _of_sql(source: str) -> Body:
    uses: list[Use] = []
    calls: list[str] = []
    known = True
    for piece in pieces(source):
        found = analyse(Text(value=piece.sql))
        if found.problems:
            return Body()
        known = known and found.tables.analysed
        uses += [replace(use, start=0, end=0) for use in found.tables.uses]
        calls += [plain(call.name) for call in found.tables.calls]
    return Body(uses=tuple(uses), calls=tuple(calls), known=known)


def scanned(source: str, tables: Set[str]) -> Body:
    """What a body of plpgsql does with the tables that are known. `known` is False where it runs texts."""
    items = tokens(source, split_comments(source)[0])
    words = [token.word for token in items]
    dynamic = any(word == "execute" and words[at - 1] not in ("each", "row") for at, word in enumerate(words))
    uses = tuple([use for use in _named(source, items) if use.table in tables])
    called = [
        plain(name)
        for at, word in enumerate(words)
        if word == "(" and at > 0 and (name := _name_before(source, items, at)) is not None
    ]
    return Body(uses=uses, calls=tuple(dict.fromkeys(called)), known=not dynamic)


def _named(source: str, items: list[Token]) -> Iterator[Use]:
    """The tables in the places where statements name some."""
    words = ["", *(token.word for token in items)]
    for at, token in enumerate(items):
        before = words[at]
        read: frozenset[str] | None = None
        match token.word:
            case "into" if before in ("insert", "merge"):
                effect = Effect.INSERT if before == "insert" else Effect.MERGE
                read = frozenset[str]() if before == "insert" else None
            case "update" if before not in ("for", "key", "do", "on", "or", "before", "after"):
                effect = Effect.UPDATE
            case "from" if before == "delete":
                effect = Effect.DELETE
            case "truncate":
                effect = Effect.DEFINE
            case "from" | "join" | "using" if before != "distinct":
                effect = Effect.READ
            case _:
                continue
        name = _name_at(source, items, at + 1)
        if name is not None:
            yield Use(table=plain(name), effect=effect, read=read, start=0, end=0)


def _name_at(source: str, items: list[Token], at: int) -> str | None:
    """The name that begins at a token, behind ONLY and the like."""
    while at < len(items) and items[at].word in _SKIPPED:
        at += 1
    parts: list[str] = []
    while at < len(items) and (part := identifier(source, items[at])) is not None:
        parts.append(quoted(part))
        if at + 1 >= len(items) or items[at + 1].word != ".":
            break
        at += 2
    return ".".join(parts) or None


def _name_before(source: str, items: list[Token], at: int) -> str | None:
    """The name in front of a bracket."""
    last = identifier(source, items[at - 1])
    if last is None or at < 3 or items[at - 2].word != ".":
        return last
    schema = identifier(source, items[at - 3])
    return last if schema is None else f"{schema}.{last}"
