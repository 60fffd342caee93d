"""One SQL statement of a step: is it legal, what is it, what does it refer to, which tables does it touch."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from functools import lru_cache

from dfc.compiler.ast import Piece, Text
from dfc.compiler.diagnostics import Diagnostic, Fix, error, replacing
from dfc.compiler.plan import Form, Literal, Returns
from dfc.compiler.span import Span
from dfc.compiler.sql import commands, literals, native
from dfc.compiler.sql.commands import Shape
from dfc.compiler.sql.forbidden import refusals, requests_inside, unreadable
from dfc.compiler.sql.options import unknown_argument, unknown_field, unknown_word
from dfc.compiler.sql.places import places
from dfc.compiler.sql.references import Place, Reference, references
from dfc.compiler.sql.select_into import create_table_as
from dfc.compiler.sql.tables import UNKNOWN, Tables, tables
from dfc.compiler.sql.tokens import Token, split_comments, tokens
from dfc.compiler.sql.verdict import Refusal, refusal, verdict
from dfc.grammar.lexer import Lexeme

_CACHED_STATEMENTS_MAX = 4_096
_COMMENTS_MAX = 1_000
"""The scanner of PostgreSQL takes quadratic time for comments in comments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """The statement is an HTTP step. `many`: it has a FROM, a request a row. `span` is the call."""

    many: bool
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What is known about a statement. All offsets refer to `sql`, in code points.

    `sql` has no trailing semicolon, no comment or blank at its ends, and SELECT INTO is CREATE TABLE AS.
    `text` is `sql` with its places in the source. `kind` is the command tag in lower case, `` where it is
    no command. Tables are looked up when they are asked for: most compilations never need sqlglot.
    `references` has everything in a literal that looks like a reference, `literals` the literals for them:
    which of them are some is what `literals_of` says. `fixed` are those in a literal where PostgreSQL takes
    nothing but a constant.
    """

    text: Text
    kind: str
    form: Form
    returns: Returns
    references: tuple[Reference, ...] = ()
    literals: tuple[Literal, ...] = ()
    fixed: tuple[Reference, ...] = ()
    http: HttpCall | None = None
    problems: tuple[Diagnostic, ...] = ()

    @property
    def sql(self) -> str:
        """The statement as it is sent."""
        return self.text.value

    @property
    def tables(self) -> Tables:
        """The tables of the statement; unknown when it has problems."""
        return UNKNOWN if self.problems else tables(self.sql, self.kind)

    @property
    def reads(self) -> frozenset[str]:
        """The tables read: `schema.table`, folded as PostgreSQL does; empty unless `tables.analysed`."""
        return self.tables.reads

    @property
    def writes(self) -> frozenset[str]:
        """The tables written, as in `reads`."""
        return self.tables.writes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """An analysis without places in a source. `runs` are (offset in `sql`, offset in the text, length)."""

    sql: str
    runs: tuple[tuple[int, int, int], ...]
    shape: Shape
    problems: tuple[Refusal, ...]
    references: tuple[Reference, ...] = ()
    literals: tuple[Literal, ...] = ()
    fixed: tuple[Reference, ...] = ()
    http: tuple[bool, int, int] | None = None


_NOTHING = Shape(kind="", form=Form.EXECUTE, returns=Returns.COUNT, parameters=True)


def analyse(text: Text) -> Analysis:
    """Analyse the statement of a step. Never raises for bad text: what is wrong is in `problems`."""
    found = _found(text.value)
    http = found.http
    return Analysis(
        text=Text(value=found.sql, span=text.span, pieces=_pieces(text, found.runs)),
        kind=found.shape.kind,
        form=found.shape.form,
        returns=found.shape.returns,
        references=found.references,
        literals=found.literals,
        fixed=found.fixed,
        http=None if http is None else HttpCall(many=http[0], span=text.locate(http[1], http[2])),
        problems=tuple(
            [
                error(
                    problem.code,
                    problem.message,
                    text.locate(problem.start, problem.end),
                    help=problem.help,
                    fix=_fix(text, problem),
                )
                for problem in found.problems
            ]
        ),
    )


def illegal(text: Text) -> Diagnostic | None:
    """What PostgreSQL's grammar has against a statement that goes to the server as it stands.

    Nothing is said of several statements, nor of what is too long to be asked about.
    """
    value = text.value
    if unreadable(value) is not None or value.count("/*") > _COMMENTS_MAX:
        return None
    if not isinstance(native.statements(value), native.Fault):
        return None
    code, comments = split_comments(value)
    items = tokens(value, code)
    problem = verdict(value, items, comments, {})
    if problem is None or problem.code == "DF122":
        return None
    return error(problem.code, problem.message, text.locate(problem.start, problem.end), help=problem.help)


def literals_of(
    analysis: Analysis, known: Container[str]
) -> tuple[tuple[Reference, ...], tuple[Literal, ...]]:
    """The references of a statement, and its literals with any, where only these names are known.

    A reference in a literal whose name is not known is text. Reserved names that hold have to be in `known`.
    """
    return literals.known_in(analysis.sql, analysis.references, analysis.literals, known)


def _pieces(text: Text, runs: tuple[tuple[int, int, int], ...]) -> tuple[Piece, ...]:
    """The pieces of the statement: those of the text, cut and moved."""
    if runs == ((0, 0, len(text.value)),):
        return text.pieces
    pieces: list[Piece] = []
    for value_start, text_start, length in runs:
        for piece in text.pieces:
            start = max(piece.value_start, text_start)
            end = min(piece.value_start + piece.length, text_start + length)
            if start < end:
                cut_end = piece.value_start + piece.length - end
                source_end = piece.source_end - cut_end if cut_end else piece.source_end
                pieces.append(
                    Piece(
                        value_start=value_start + start - text_start,
                        length=end - start,
                        source_start=piece.source_start + start - piece.value_start,
                        source_end=source_end,
                    )
                )
    return tuple(sorted(pieces, key=lambda piece: piece.value_start))


@lru_cache(maxsize=_CACHED_STATEMENTS_MAX)
def _found(value: str) -> _Found:
    refused = unreadable(value)
    if refused is not None:
        return _refused(value, refused)
    code, comments = split_comments(value)
    first, last = 0, len(code)
    while first < last and value[code[first].start : code[first].end] == ";":
        first += 1
    while last > first and value[code[last - 1].start : code[last - 1].end] == ";":
        last -= 1
    if first == last:
        return _refused(
            value, refusal("DF123", "the step has no statement", 0, len(value), "write one statement")
        )
    begin, end = code[first].start, code[last - 1].end
    inner = [comment for comment in comments if begin < comment.start < end]
    sql = value[begin:end]
    items = tokens(sql, _moved(code[first:last], begin))
    shape = commands.classify(items)
    inside = _moved(inner, begin)
    found = _Found(sql=sql, runs=((0, begin, len(sql)),), shape=shape, problems=())
    where: dict[int, Place] = {}
    if "$" in sql and shape.kind not in commands.SUBROUTINES:
        where = places(sql, items, inside, shape.kind)
        texts = literals.literals(sql, items, inside, shape.kind, where)
        both = (*references(sql, items, where), *texts.references)
        found = replace(
            found,
            references=tuple(sorted(both, key=lambda reference: reference.start)),
            literals=texts.literals,
            fixed=texts.fixed,
        )
    problems = refusals(sql, items, inside, shape, where)
    lower = sql.lower()
    calls = commands.http_calls(sql, items) if "http" in lower else []
    http = commands.http_call(sql, items, shape) if calls else None
    if not problems and calls:
        problems = requests_inside(items, shape, calls, http)
    unknown = unknown_word(sql, items, shape.kind) if not problems else None
    if not problems and unknown is None and "extract" in lower:
        unknown = unknown_field(sql, items)
    if not problems and http is not None:
        unknown = unknown_argument(sql, items, http[0].start)
    if unknown is not None:
        problems = [refusal(*unknown)]
    if problems:
        moved = [
            replace(problem, start=problem.start + begin, end=problem.end + begin) for problem in problems
        ]
        return replace(found, problems=tuple(moved))
    if http is not None:
        start, stop = items[http[0].start].start + begin, items[http[0].stop - 1].end + begin
        found = replace(found, http=(http[1], start, stop))
    return found if shape.into is None else _create_table_as(found, items, shape.into)


def _moved(lexemes: list[Lexeme], begin: int) -> list[Lexeme]:
    if not begin:
        return lexemes
    return [Lexeme(lexeme.kind, lexeme.start - begin, lexeme.end - begin) for lexeme in lexemes]


def _refused(value: str, problem: Refusal) -> _Found:
    return _Found(sql=value, runs=((0, 0, len(value)),), shape=_NOTHING, problems=(problem,))


def _fix(text: Text, problem: Refusal) -> Fix | None:
    near = problem.near
    if near is None or not near.sure:
        return None
    old = text.value[problem.start : problem.end]
    return replacing(text.locate(problem.start, problem.end), old, near.word)


def _create_table_as(found: _Found, items: list[Token], into: range) -> _Found:
    written = create_table_as(found.sql, items, into)
    [(_, begin, _)] = found.runs
    moved = written.moved
    references = [
        replace(one, start=moved(one.start), end=moved(one.start) + one.end - one.start)
        for one in found.references
    ]
    literals = [
        replace(
            one,
            start=moved(one.start),
            end=moved(one.start) + one.end - one.start,
            type_start=None if one.type_start is None else moved(one.type_start),
            escapes=tuple([moved(offset) for offset in one.escapes]),
        )
        for one in found.literals
    ]
    return replace(
        found,
        sql=written.sql,
        runs=tuple([(to, begin + of, length) for to, of, length in written.runs]),
        references=tuple(sorted(references, key=lambda one: one.start)),
        literals=tuple(sorted(literals, key=lambda one: one.start)),
    )
