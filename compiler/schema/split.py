"""A file of DDL, cut into statements: what psql would send, and what only psql understands left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dfc.compiler.sql.tokens import Token, tokens
from dfc.grammar.lexer import FAULTS, Kind, Lexeme, scan

_PSQL: Final = re.compile(r"^\\(\w*+)[^\n]*+", re.MULTILINE)
_COPY: Final = re.compile(r"^copy\b[^;\n]*?(?<!\w)stdin\b[^;\n]*+;[^\n]*+\n", re.MULTILINE | re.IGNORECASE)
_DATA_END: Final = "\n\\."
_INCLUDES: Final = frozenset({"i", "ir", "include", "include_relative", "gexec"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A statement of a file, `sql`, which stands there from `start` to `end`, with blanks for comments.

    The tokens have offsets in it. `broken`: it ends nowhere.
    """

    start: int
    end: int
    sql: str
    items: list[Token]
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """A file without the lines that psql reads itself; `includes`: it names other files."""

    text: str
    includes: bool


def script(text: str) -> Script:
    """The text, as long as it was, with blanks for commands of psql and for the data of COPY."""
    parts: list[str] = []
    done = 0
    for start, end in _data(text):
        parts += (text[done:start], _blank(text[start:end]))
        done = end
    parts.append(text[done:])
    whole = "".join(parts).replace("\x00", " ").replace("\ufeff", " ")
    commands = {match[1] for match in _PSQL.finditer(whole)} if "\\" in whole else set[str]()
    return Script(_PSQL.sub(lambda match: " " * len(match[0]), whole), not commands.isdisjoint(_INCLUDES))


def _data(text: str) -> Iterator[tuple[int, int]]:
    """Where the rows of COPY ... FROM STDIN stand."""
    position = 0
    while (found := _COPY.search(text, position)) is not None:
        end = text.find(_DATA_END, found.end() - 1)
        end = len(text) if end < 0 else end + len(_DATA_END)
        yield found.end(), max(end, found.end())
        position = max(end, found.end())


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def pieces(text: str) -> Iterator[Piece]:
    """The statements of a script. In the body of a routine (`BEGIN ATOMIC`) semicolons end nothing."""
    code: list[Lexeme] = []
    comments: list[Lexeme] = []
    depth = 0
    atomic = False
    broken = False
    for lexeme in scan(text):
        if lexeme.kind is Kind.COMMENT:
            if code:
                comments.append(lexeme)
            continue
        written = text[lexeme.start : lexeme.end] if lexeme.end - lexeme.start <= 6 else ""
        if written == ";" and depth == 0 and not (atomic and not _ends(text, code)):
            if code:
                yield _piece(text, code, comments, broken)
            code, comments, atomic, broken = [], [], False, False
            continue
        if lexeme.kind is Kind.PUNCTUATION:
            depth = max(0, depth + (written in ("(", "[")) - (written in (")", "]")))
        elif lexeme.kind is Kind.IDENT and written.lower() == "atomic" and code:
            last = code[-1]
            atomic = atomic or text[last.start : last.end].lower() == "begin"
        broken = broken or lexeme.kind in FAULTS
        code.append(lexeme)
    if code:
        yield _piece(text, code, comments, broken)


def _ends(text: str, code: list[Lexeme]) -> bool:
    """Whether the last words are `; END`, or the `ATOMIC END` of an empty body."""
    if len(code) < 2 or text[code[-1].start : code[-1].end].lower() != "end":
        return False
    return text[code[-2].start : code[-2].end].lower() in (";", "atomic")


def _piece(text: str, code: list[Lexeme], comments: list[Lexeme], broken: bool) -> Piece:
    start, end = code[0].start, code[-1].end
    moved = [Lexeme(each.kind, each.start - start, each.end - start) for each in code]
    items = tokens(text[start:end], moved)
    parts: list[str] = []
    done = start
    for comment in comments:
        if comment.start < end:
            parts += (text[done : comment.start], " " * (comment.end - comment.start))
            done = comment.end
    parts.append(text[done:end])
    return Piece(start, end, "".join(parts), items, broken)
