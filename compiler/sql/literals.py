"""Literals with references in them: `'a $x'`, `interval '$n days'`; and `$$x`, which is the text `$x`.

Everything that looks like a reference is a candidate here; `known_in` keeps those whose name is known. What
the type of a literal is (`date '$d'`) is guessed from the words in front of it, and PostgreSQL's grammar
has the last word: an expression must be able to stand in its place.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace

from dfc.compiler.plan import WITH_EXPRESSIONS, Literal, Use
from dfc.compiler.sql import commands
from dfc.compiler.sql.places import WHOLE, reach
from dfc.compiler.sql.references import Place, Reference, literal_parts, reference_at
from dfc.compiler.sql.tokens import Token
from dfc.grammar.lexer import IN_TEXT, Kind, Lexeme

_PARSED_BYTES_MAX = 5_000_000
"""How much PostgreSQL's parser reads of one statement, over and over, to tell typed literals from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the literals of a statement hold. `fixed` are references where only a constant can stand."""

    references: tuple[Reference, ...] = ()
    literals: tuple[Literal, ...] = ()
    fixed: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A literal (`items[index]`) that looks as if it had references or escapes in it.

    `last` is the last token of the literal, with its UESCAPE clause; `type_start` is a guess. In place of
    `whole` an expression has to be able to stand: the name of the type and the fields of an interval count.
    """

    index: int
    last: int
    references: tuple[Reference, ...]
    escapes: tuple[int, ...]
    whole: tuple[int, int]
    type_start: int | None = None


def literals(
    sql: str, items: list[Token], comments: list[Lexeme], kind: str, places: Mapping[int, Place]
) -> Found:
    """The candidates of a statement, and the references that stand alone where only a constant can."""
    if kind in commands.SUBROUTINES:
        return Found()
    constants = [_constant(token, places) for token in items if token.start in places]
    alone = [literal for literal in constants if literal is not None]
    found = list(_candidates(sql, items))
    fixed: list[_Candidate] = []
    if found and kind in WITH_EXPRESSIONS:
        found = [_typed(items, candidate) for candidate in found]
        found, fixed = _verified(sql, items, comments, places, found)
    whole = [
        Literal(
            start=items[one.index].start,
            end=items[one.index].end,
            type_start=one.type_start,
            escapes=one.escapes,
        )
        for one in found
    ]
    return Found(
        references=tuple([reference for one in found for reference in one.references]),
        literals=tuple(sorted([*whole, *alone], key=lambda literal: literal.start)),
        fixed=tuple([reference for one in fixed for reference in one.references]),
    )


def known_in(
    sql: str, references: tuple[Reference, ...], literals: tuple[Literal, ...], known: Container[str]
) -> tuple[tuple[Reference, ...], tuple[Literal, ...]]:
    """The references and literals of a statement that are some where only these names are known."""
    if not literals:
        return references, literals
    kept = tuple([one for one in references if not one.literal or one.name in known])
    inside = iter(kept)
    one = next(inside, None)
    changed: list[Literal] = []
    for literal in literals:
        while one is not None and one.start < literal.start:
            one = next(inside, None)
        escapes = tuple([offset for offset in literal.escapes if _escaped(sql, offset) in known])
        if escapes or (one is not None and one.start < literal.end):
            changed.append(replace(literal, escapes=escapes))
    return kept, tuple(changed)


def _escaped(sql: str, offset: int) -> str:
    found = IN_TEXT.match(sql, offset)
    return "" if found is None else found["escaped"] or ""


def _constant(token: Token, places: Mapping[int, Place]) -> Literal | None:
    """The literal that a reference alone is; a number where one can stand and the value is one."""
    match places[token.start]:
        case Place.STRING:
            return Literal(start=token.start, end=token.end)
        case Place.NUMBER | Place.CONSTANT:
            return Literal(start=token.start, end=token.end, type_start=token.start)
        case Place.NAME | Place.EXPRESSION:
            return None


_TEXTS = frozenset({Kind.STRING, Kind.ESCAPE_STRING, Kind.UNICODE_STRING})
_NO_ESCAPE = re.compile(r"[\w$.*?]")


def _candidates(sql: str, items: list[Token]) -> Iterator[_Candidate]:
    for index, token in enumerate(items):
        if token.kind not in _TEXTS or "$" not in sql[token.start : token.end]:
            continue
        pattern, last = IN_TEXT, index
        if token.kind is Kind.ESCAPE_STRING:
            pattern = _behind_escapes("\\")
        elif token.kind is Kind.UNICODE_STRING:
            escape = "\\"
            if index + 2 < len(items) and items[index + 1].word == "uescape":
                last = index + 2
                escape = sql[items[last].start + 1 : items[last].start + 2]
            if _NO_ESCAPE.match(escape):
                continue
            pattern = _behind_escapes(escape)
        references: list[Reference] = []
        escapes: list[int] = []
        for start, end in literal_parts(sql, token):
            for found in _in_part(sql, pattern, start + 1, end - 1):
                if found["escaped"] is not None:
                    escapes.append(found.start())
                else:
                    one = reference_at(sql, *found.span())
                    use = Use.JSON if one.use is Use.ROWS else one.use
                    references.append(replace(one, literal=True, use=use))
        if references or escapes:
            yield _Candidate(
                index=index,
                last=last,
                references=tuple(references),
                escapes=tuple(escapes),
                whole=(token.start, items[last].end),
            )


def _behind_escapes(escape: str) -> re.Pattern[str]:
    """References, and escapes of the literal, which may be of a `$`."""
    return re.compile(rf"{re.escape(escape)}.|{IN_TEXT.pattern}", re.DOTALL)


def _in_part(sql: str, pattern: re.Pattern[str], start: int, end: int) -> Iterator[re.Match[str]]:
    """What looks like a reference in a part of a literal. `$tag$ ... $tag$` in it are no references."""
    tags: dict[str, bool] = {}
    for found in pattern.finditer(sql, start, end):
        name = found["name"] or found["escaped"]
        if name is None:
            continue
        if found.end() < end and sql[found.end()] == "$" and found.group() == f"${name}":
            if name not in tags:
                tags[name] = sql.count(f"${name}$", start, end) > 1
            if tags[name]:
                continue
        yield found


# Words that a string may stand behind and that are the last one of no type.
_NO_TYPE = frozenset(
    re.findall(
        r"\w+",
        """
        all analyse analyze and any array as asc asymmetric both case cast check collate column
        constraint create default deferrable desc distinct do else end except fetch for foreign
        from grant group having in initially intersect into lateral leading limit not null offset
        on only or order placing primary references returning select similar some symmetric table
        then to trailing union unique user using variadic when where window with between values by
        like ilike is escape value document content passing path version overlaps standalone
        """,
    )
)


def _typed(items: list[Token], candidate: _Candidate) -> _Candidate:
    """The candidate with a guess of where the name of its type begins."""
    before = candidate.index - 1
    if before >= 2 and items[before].word == "zone" and items[before - 1].word == "time":
        if items[before - 2].word not in ("with", "without"):
            return candidate
        before -= 3
    if before >= 0 and items[before].word == ")":
        before = _opening(items, before) - 1
    if before < 0 or items[before].kind not in _NAMES:
        return candidate
    word = items[before].word
    if word in _NO_TYPE and not (before and items[before - 1].word == "."):
        return candidate
    start = items[_first_of_type(items, before)].start
    last = _behind_fields(items, candidate.last) if word == "interval" else candidate.last
    return replace(candidate, type_start=start, whole=(start, items[last].end))


def _first_of_type(items: list[Token], last: int) -> int:
    """The first token of the name of a type, by its last one."""
    first = last
    while first >= 2 and items[first - 1].word == "." and items[first - 2].kind in _NAMES:
        first -= 2
    word, before = items[first].word, items[first - 1].word if first else ""
    if word == "varying" and before in ("character", "char", "nchar", "bit"):
        first -= 1
    elif word == "precision" and before == "double":
        return first - 1
    if first and items[first - 1].word == "national" and items[first].word in ("character", "char"):
        first -= 1
    return first


_NAMES = frozenset({Kind.IDENT, Kind.QUOTED_IDENT})
_FIELDS = frozenset({"year", "month", "day", "hour", "minute", "second"})


def _behind_fields(items: list[Token], index: int) -> int:
    """The last token of an interval literal: it may go on with `DAY TO SECOND(3)`."""
    if index + 1 < len(items) and items[index + 1].word in _FIELDS:
        index += 1
        if index + 2 < len(items) and items[index + 1].word == "to" and items[index + 2].word in _FIELDS:
            index += 2
        if index + 3 < len(items) and items[index].word == "second" and items[index + 1].word == "(":
            index += 3
    return index


def _opening(items: list[Token], closing: int) -> int:
    """The bracket that is closed here."""
    index = closing - 1
    while index >= 0 and items[index].depth > items[closing].depth:
        index -= 1
    return index


def _verified(
    sql: str,
    items: list[Token],
    comments: list[Lexeme],
    places: Mapping[int, Place],
    found: list[_Candidate],
) -> tuple[list[_Candidate], list[_Candidate]]:
    """The candidates in whose place an expression can stand, their types put right; and the others.

    A statement that is itself at fault is reported elsewhere.
    """

    def reached(guesses: list[_Candidate | None]) -> int:
        wholes = [one.whole for one in guesses if one is not None]
        return reach(sql, items, comments, places, wholes)

    chosen: list[_Candidate | None] = list(found)
    settled: set[int] = set()
    stop = reached(chosen)
    if stop == WHOLE or reached([]) != WHOLE:
        return found, []
    starts = [one.whole[0] for one in found]
    for _ in range(_PARSED_BYTES_MAX // len(sql)):
        last = bisect_right(starts, stop) - 1
        if stop == WHOLE or last < 0 or last in settled:
            break
        settled.add(last)
        one = found[last]
        plain = replace(one, type_start=None, whole=(items[one.index].start, items[one.last].end))
        others: list[_Candidate | None] = [plain, None]
        reaches = [reached([*chosen[:last], other, *chosen[last + 1 :]]) for other in others]
        best = reaches.index(max(reaches))
        if reaches[best] > stop:
            stop, chosen[last] = reaches[best], others[best]
    good = [one for one in chosen if one is not None]
    return good, [one for one, kept in zip(found, chosen, strict=True) if kept is None]
