"""Ways to break the SQL of a step. PostgreSQL is asked whether it refuses what comes out."""

from __future__ import annotations

from collections.abc import Iterator

from bench.mutation.mutants import Edit, Mutant, Needs, misspelled, way
from bench.mutation.seeds import Body, Seed
from dfc.compiler.span import Span
from dfc.compiler.sql.commands import SUBROUTINES
from dfc.compiler.sql.tables import tables
from dfc.compiler.sql.tokens import Token, split_comments, tokens
from dfc.grammar.lexer import STRINGS, Kind

_WORDS = (
    "select insert into update delete from where values set group by having order limit join left right inner on",
    "using returning with as and or not in is null case when then else end union all distinct between like",
    "create table index view drop alter add column primary key references default exists vacuum analyze call",
    "begin grant to revoke truncate merge matched do explain lock comment refresh materialized recursive over",
    "partition asc desc nulls first last for cross natural full outer lateral cast interval timestamp date time",
    "true false array row rows only except intersect offset fetch any some unique check constraint trigger",
    "function procedure returns language if cascade restrict type sequence schema role policy",
)
_KEYWORDS = frozenset(" ".join(_WORDS).split())


def _items(body: Body) -> list[Token]:
    return tokens(body.sql, split_comments(body.sql)[0])


def _edit(seed: Seed, body: Body, start: int, end: int, by: str, *also: Token) -> Iterator[Mutant]:
    """The mutant, if that part of the statement stands in the source as it is."""
    place = body.place(start, max(end, start + 1)) if start < len(body.sql) else None
    if place is None:
        return
    first = place.start
    after = first + end - start
    text = seed.text[:first] + by + seed.text[after:]
    places = [Span(first, first + max(len(by), 1))]
    moved = len(by) - (end - start)
    for token in also:
        there = body.text.locate(token.start, token.end)
        shift = moved if token.start >= end else 0
        places.append(Span(there.start + shift, there.end + shift))
    yield Mutant(text, tuple(places), Edit(body, start, end, by))


def _around(items: list[Token], index: int) -> list[Token]:
    return [items[at] for at in (index - 1, index + 1) if 0 <= at < len(items)]


def _code(seed: Seed) -> Iterator[tuple[Body, list[Token], int]]:
    """Each token of each statement."""
    for body in seed.bodies:
        items = _items(body)
        for index in range(len(items)):
            yield body, items, index


def _dropped(seed: Seed, words: frozenset[str]) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].word in words:
            token = items[index]
            yield from _edit(seed, body, token.start, token.end, " ", *_around(items, index))


@way("SQL: misspelled keyword", Needs.ORACLE)
def keyword(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        token = items[index]
        if token.kind is Kind.IDENT and token.word in _KEYWORDS:
            by = misspelled(body.sql[token.start : token.end])
            yield from _edit(seed, body, token.start, token.end, by, *_around(items, index))


@way("SQL: dropped keyword", Needs.ORACLE)
def dropped_keyword(seed: Seed) -> Iterator[Mutant]:
    return _dropped(seed, _KEYWORDS)


@way("SQL: dropped comma", Needs.ORACLE)
def dropped_comma(seed: Seed) -> Iterator[Mutant]:
    return _dropped(seed, frozenset({","}))


@way("SQL: doubled comma", Needs.ORACLE)
def doubled_comma(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].word == ",":
            yield from _edit(seed, body, items[index].start, items[index].end, ", ,")


@way("SQL: missing parenthesis", Needs.ORACLE)
def parenthesis(seed: Seed) -> Iterator[Mutant]:
    return _dropped(seed, frozenset({"(", ")", "[", "]"}))


@way("SQL: extra parenthesis", Needs.ORACLE)
def extra(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].kind is Kind.IDENT:
            at = items[index].end
            if at < len(body.sql):
                yield from _edit(seed, body, at, at, " )", *_around(items, index))


@way("SQL: missing quote", Needs.ORACLE)
def quote(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        token = items[index]
        quoted = token.kind in STRINGS and token.kind is not Kind.DOLLAR_STRING
        if quoted or token.kind is Kind.QUOTED_IDENT:
            later = [item for item in items[index + 1 :] if item.kind in STRINGS]
            yield from _edit(seed, body, token.end - 1, token.end, "", token, *later[:1], *later[-1:])


@way("SQL: dropped operator", Needs.ORACLE)
def operator(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].kind is Kind.OPERATOR:
            yield from _edit(seed, body, items[index].start, items[index].end, " ", *_around(items, index))


@way("SQL: doubled operator", Needs.ORACLE)
def operators(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        token = items[index]
        if token.kind is Kind.OPERATOR:
            written = body.sql[token.start : token.end]
            by = f"{written} {written}"
            yield from _edit(seed, body, token.start, token.end, by, *_around(items, index))


@way("SQL: cut off", Needs.ORACLE)
def cut(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if index > 0:
            start = items[index].start
            yield from _edit(seed, body, start, len(body.sql), "", items[index - 1])


def _named(seed: Seed, which: str) -> Iterator[tuple[Body, list[Token], int]]:
    """The tokens that name a table, a function or a column."""
    for body in seed.bodies:
        items = _items(body)
        found = tables(body.sql, body.kind)
        names = {name.rpartition(".")[2] for name in found.reads | found.writes}
        for index, token in enumerate(items):
            if token.kind is not Kind.IDENT or token.word in _KEYWORDS:
                continue
            called = index + 1 < len(items) and items[index + 1].word == "("
            kind = "table" if token.word in names else "function" if called else "column"
            if kind == which:
                yield body, items, index


def _misspelled_name(seed: Seed, which: str) -> Iterator[Mutant]:
    for body, items, index in _named(seed, which):
        token = items[index]
        by = misspelled(body.sql[token.start : token.end])
        # `app.films`: a name with its schema is one thing to point at.
        yield from _edit(seed, body, token.start, token.end, by, *_qualifiers(items, index))


def _qualifiers(items: list[Token], index: int) -> list[Token]:
    found: list[Token] = []
    while index >= 2 and items[index - 1].word == ".":
        index -= 2
        found.append(items[index])
    return found


@way("SQL: misspelled table", Needs.ORACLE)
def table(seed: Seed) -> Iterator[Mutant]:
    return _misspelled_name(seed, "table")


@way("SQL: misspelled column or name", Needs.ORACLE)
def column(seed: Seed) -> Iterator[Mutant]:
    return _misspelled_name(seed, "column")


@way("SQL: misspelled function", Needs.ORACLE)
def function(seed: Seed) -> Iterator[Mutant]:
    return _misspelled_name(seed, "function")


@way("SQL: argument too many", Needs.ORACLE)
def argument(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _named(seed, "function"):
        opening = items[index + 1]
        empty = index + 2 < len(items) and items[index + 2].word == ")"
        by = "(now(), 1, 1, 1" + ("" if empty else ", ")
        yield from _edit(seed, body, opening.start, opening.end, by, items[index], *_qualifiers(items, index))


@way("SQL: wrong type", Needs.ORACLE)
def wrong_type(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].kind is Kind.NUMBER:
            # The operator is to blame as well, or what stands at its other side.
            around = items[max(0, index - 2) : index + 3]
            yield from _edit(seed, body, items[index].start, items[index].end, "point(1, 2)", *around)


@way("SQL: wrong operator", Needs.ORACLE)
def wrong_operator(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].kind is Kind.OPERATOR and body.sql[items[index].start] in "+-<>=/|&":
            yield from _edit(
                seed, body, items[index].start, items[index].end, "<<@>>", *_around(items, index)
            )


@way("SQL: unknown type", Needs.ORACLE)
def unknown_type(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if index and items[index - 1].word == "::" and items[index].kind is Kind.IDENT:
            yield from _edit(seed, body, items[index].start, items[index].end, "integr")


@way("SQL: column too many", Needs.ORACLE)
def values(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].word == "(" and index and items[index - 1].word == "values":
            inside = items[index + 1 : index + 12]
            yield from _edit(
                seed, body, items[index].start, items[index].end, "(1, 1, 1, 1, 1, 1, 1, 1, ", *inside
            )


@way("SQL: aggregate in WHERE", Needs.ORACLE)
def aggregate(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].word == "where" and index + 1 < len(items):
            at = items[index].end
            yield from _edit(seed, body, at, at, " count(*) > 0 AND")


@way("SQL: dropped GROUP BY", Needs.ORACLE)
def group(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].word == "group" and index + 2 < len(items) and items[index + 1].word == "by":
            end = items[index + 2].end
            others = [item for item in items[:index] if item.kind is Kind.IDENT]
            yield from _edit(seed, body, items[index].start, end, " ", *others)


@way("SQL: two statements")
def two(seed: Seed) -> Iterator[Mutant]:
    for body in seed.bodies:
        if body.origin.sql:
            end = body.origin.sql[-1].source_end
            text = seed.text[:end] + "\n; SELECT 2" + seed.text[end:]
            yield Mutant(text, (Span(end + 1, end + 11),))


_FORBIDDEN = ("COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT x", "SET ROLE postgres", "COPY a FROM STDIN")


@way("SQL: forbidden command")
def forbidden(seed: Seed) -> Iterator[Mutant]:
    for body in seed.bodies:
        start, end = body.origin.sql[0].source_start, body.origin.sql[-1].source_end
        for number, command in enumerate(_FORBIDDEN):
            if number == len(body.sql) % len(_FORBIDDEN):
                command = (
                    command
                    if " " in command
                    else f"{command} WORK"
                    if command != "BEGIN"
                    else "BEGIN READ ONLY"
                )
                text = seed.text[:start] + command + seed.text[end:]
                yield Mutant(text, (Span(start, start + len(command)),))


@way("SQL: positional parameter")
def positional(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].kind is Kind.NUMBER and body.kind not in SUBROUTINES | {"prepare"}:
            for mutant in _edit(seed, body, items[index].start, items[index].end, "$1"):
                yield Mutant(mutant.text, mutant.places)


@way("SQL: command of psql")
def psql(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if index:
            for mutant in _edit(seed, body, items[index].start, items[index].start, "\\gexec\n"):
                yield Mutant(mutant.text, mutant.places)


@way("SQL: unknown reference")
def unknown(seed: Seed) -> Iterator[Mutant]:
    for body, items, index in _code(seed):
        if items[index].kind is Kind.NUMBER and body.kind not in SUBROUTINES:
            for mutant in _edit(seed, body, items[index].start, items[index].end, "$nobody_knows"):
                yield Mutant(mutant.text, mutant.places)
