"""A step's SQL on lines: a query breaks at its clauses, a list at its commas; what is short stays one line.

White space between tokens is all that changes, so it is the same statement to PostgreSQL and to the compiler.
A statement with comments, and one that is no query, is only moved to where its step stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dfc.compiler.ast import Text
from dfc.compiler.sql.analysis import analyse
from dfc.grammar.lexer import Kind, Lexeme, scan

WIDTH = 88
ALONE_MAX = 72
"""A statement that is no longer is one line."""
_LEVELS_MAX = 40
_KINDS = frozenset({"select", "insert", "update", "delete", "merge", "values", "create table as"})
_QUERIES = frozenset({"select", "with", "values", "insert", "update", "delete", "merge"})
_CLAUSES = frozenset(
    {"select", "from", "where", "having", "limit", "offset", "fetch", "union", "intersect", "except"}
    | {"values", "returning", "insert", "delete", "merge"}
)
_WITH_NEXT = {"group": {"by"}, "order": {"by"}, "on": {"conflict"}, "for": {"update", "share", "no", "key"}}
_NOT_BEHIND = {
    "from": {"distinct", "delete"},
    "values": {"default"},
    "delete": {"then", "for", "on"},
    "insert": {"then"},
}
_JOINS = frozenset({"join", "left", "right", "full", "inner", "cross", "natural"})


@dataclass(frozen=True, slots=True)
class _Piece:
    """A token, or brackets with what is in them; `apart`: with white space in front."""

    text: str
    apart: bool
    inside: tuple[_Piece, ...] | None = None

    @property
    def word(self) -> str:
        """The token in lower case."""
        return self.text.lower()

    @property
    def flat(self) -> str:
        """All of it on one line."""
        return self.text if self.inside is None else f"({_flat(self.inside)})"


def sql_lines(sql: str) -> tuple[str, ...] | None:
    """The lines of a statement in its layout; None where it stays as it is.

    A line may have line breaks in it, within a literal.
    """
    analysis = analyse(Text(value=sql))
    if analysis.problems:
        return None
    text = sql.strip(" \t\n\r\f\v").rstrip("; \t\n\r\f\v")
    lexemes = list(scan(text))
    commented = any(lexeme.kind is Kind.COMMENT for lexeme in lexemes) or any(
        lexeme.kind is Kind.COMMENT for lexeme in scan(sql)
    )
    if commented or analysis.kind not in _KINDS:
        return _moved(sql)
    pieces = _pieces(text, lexemes)
    if pieces is None:
        return _moved(sql)
    flat = _flat(pieces)
    if len(flat) <= ALONE_MAX and "\n" not in flat:
        return (flat,)
    lines = tuple(_query(pieces, WIDTH))
    return lines if _tokens("\n".join(lines)) == _tokens(text) else None


def _tokens(sql: str) -> list[str]:
    return [sql[lexeme.start : lexeme.end] for lexeme in scan(sql)]


def _moved(sql: str) -> tuple[str, ...] | None:
    """The lines as they are, without what they all begin with."""
    if "\n" not in sql or "\r" in sql:
        return None
    within: set[int] = set()
    for lexeme in scan(sql):
        within |= {at for at in range(lexeme.start, lexeme.end) if sql[at] == "\n"}
    lines: list[str] = []
    position = 0
    while position <= len(sql):
        end = sql.find("\n", position)
        while end in within:
            end = sql.find("\n", end + 1)
        end = len(sql) if end == -1 else end
        lines.append(sql[position:end])
        position = end + 1
    first, rest = lines[0], [line.rstrip(" \t") for line in lines[1:]]
    margin = min((len(line) - len(line.lstrip(" ")) for line in rest if line), default=0)
    found = [line[margin:] for line in rest]
    if first.strip():
        found.insert(0, first.strip(" \t"))
    while found and not found[-1]:
        found.pop()
    while found and not found[0]:
        found.pop(0)
    return tuple(found) if len(found) > 1 else None


def _pieces(text: str, lexemes: Sequence[Lexeme]) -> tuple[_Piece, ...] | None:
    """The tokens with their brackets; None where these nest too deep or do not fit."""
    stack: list[tuple[bool, list[_Piece]]] = [(False, [])]
    end = 0
    for lexeme in lexemes:
        written = text[lexeme.start : lexeme.end]
        apart = lexeme.start > end
        end = lexeme.end
        if written == "(" and lexeme.kind is Kind.PUNCTUATION:
            stack.append((apart, []))
        elif written == ")" and lexeme.kind is Kind.PUNCTUATION:
            if len(stack) == 1:
                return None
            opened, inside = stack.pop()
            stack[-1][1].append(_Piece("()", opened, tuple(inside)))
        else:
            stack[-1][1].append(_Piece(written, apart))
        if len(stack) > _LEVELS_MAX:
            return None
    return tuple(stack[0][1]) if len(stack) == 1 else None


def _flat(pieces: Sequence[_Piece]) -> str:
    parts: list[str] = []
    before = ""
    for piece in pieces:
        behind_comma = before == "," and piece.text != ","
        if parts and piece.text not in (",", ";") and (piece.apart or behind_comma):
            parts.append(" ")
        parts.append(piece.flat)
        before = piece.text
    return "".join(parts)


def _query(pieces: Sequence[_Piece], width: int) -> Iterator[str]:
    """A query, a clause a line; what is no query is one list."""
    if not pieces or pieces[0].word not in _QUERIES:
        yield from _filled(pieces, width, "")
        return
    for clause in _clauses(pieces):
        yield from _filled(clause, width, "  ")


def _clauses(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    clause: list[_Piece] = []
    cases = 0
    for index, piece in enumerate(pieces):
        word = piece.word
        before = pieces[index - 1].word if index else ""
        after = pieces[index + 1].word if index + 1 < len(pieces) else ""
        cases += (word == "case") - (word == "end" and cases > 0)
        begins = word in _CLAUSES or after in _WITH_NEXT.get(word, ())
        begins = begins or (word == "set" and pieces[0].word in ("update", "with") and before != "update")
        begins = begins or (word == "using" and pieces[0].word == "delete" and after != "()")
        begins = begins or (word == "update" and before == "()")
        if begins and not cases and before not in _NOT_BEHIND.get(word, ()) and before != "." and clause:
            yield clause
            clause = []
        clause.append(piece)
    yield clause


def _filled(pieces: Sequence[_Piece], width: int, further: str) -> Iterator[str]:
    """As much on a line as fits; the lines behind the first begin with `further`."""
    line = margin = ""
    todo = list(reversed(list(_atoms(pieces))))
    while todo:
        atom = todo.pop()
        flat = _flat(atom)
        cases = list(_atoms(atom, of_cases=True)) if len(flat) + len(further) > width else []
        if len(cases) > 1:
            if line:
                yield line
                line, margin = "", further
            todo += reversed(cases)
            continue
        room = width - len(line.rpartition("\n")[2])
        if len(flat) + (1 if line else 0) <= room:
            line = f"{line} {flat}" if line else f"{margin}{flat}"
            continue
        if len(flat) + len(further) <= width and line:
            yield line
            line = f"{further}{flat}"
            continue
        lines = list(_opened(atom, width - len(further)))
        if line and len(lines[0]) + 1 <= room:
            line = f"{line} {lines[0]}"
        elif line:
            yield line
            line = f"{further}{lines[0]}"
        else:
            line = f"{margin}{lines[0]}"
        here = further if further and line.startswith(further) else ""
        for each in lines[1:]:
            yield line
            line = f"{here}{each}"
    yield line


def _opened(atom: Sequence[_Piece], width: int) -> Iterator[str]:
    """A part that is too long for a line: its longest brackets on lines of their own."""
    places = [index for index, piece in enumerate(atom) if piece.inside]
    if not places:
        yield _flat(atom)
        return
    at = max(places, key=lambda index: len(atom[index].flat))
    inside = atom[at].inside
    assert inside is not None
    head = _flat([*atom[:at], _Piece("(", atom[at].apart)])
    tail = _flat([_Piece(")", False), *atom[at + 1 :]])
    yield head
    for line in _query(inside, max(width - 2, 30)):
        yield f"  {line}"
    yield tail


def _atoms(pieces: Sequence[_Piece], *, of_cases: bool = False) -> Iterator[list[_Piece]]:
    """The parts between which a line may end: behind a comma, in front of AND, OR, a join.

    `of_cases`: also in front of WHEN and ELSE.
    """
    atom: list[_Piece] = []
    between = False
    cases = 0
    for index, piece in enumerate(pieces):
        word = piece.word
        before = pieces[index - 1].word if index else ""
        joins = word in _JOINS and before not in _JOINS and before != "outer" and piece.apart
        cases += (word == "case") - (before == "end" and cases > 0)
        logical = (word == "or" or (word == "and" and not between)) and not cases
        logical = logical or (of_cases and word in ("when", "else"))
        between = word == "between" or (between and word != "and")
        if atom and (before == "," or joins or (logical and piece.apart)):
            yield atom
            atom = []
        atom.append(piece)
    if atom:
        yield atom
