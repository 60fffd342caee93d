"""The problems that the flow of types finds, with their places in the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from dfc.compiler.ast import Piece
from dfc.compiler.diagnostics import Diagnostic, Note, Severity
from dfc.compiler.plan_refusals import Problem
from dfc.compiler.span import Span


class Place(Protocol):
    """Where a node stands in the source, and where each run of its SQL does."""

    @property
    def span(self) -> Span: ...

    @property
    def sql(self) -> Sequence[Piece]: ...


def diagnostics(problems: Sequence[Problem], places: Mapping[str, Place]) -> Iterator[Diagnostic]:
    """Problems by node and offset as diagnostics by span."""
    for problem in problems:
        place = places.get(problem.node)
        if place is None:
            continue
        yield Diagnostic(
            code=problem.code,
            severity=Severity(problem.severity),
            message=problem.message,
            span=span_in(place, problem.start, problem.end),
            label=problem.label,
            notes=tuple(
                [_note(text, None if node is None else places.get(node)) for text, node in problem.notes]
            ),
            help=problem.help,
        )


def _note(text: str, place: Place | None) -> Note:
    return Note(message=text, span=None if place is None else place.span)


def span_in(place: Place, start: int | None, end: int | None) -> Span:
    """The run of the source that stands for a run of a node's SQL; all of the node without one."""
    if start is None:
        return place.span
    first = _source(place.sql, start)
    if first is None:
        return place.span
    last = _source(place.sql, max(start, (end or start + 1) - 1), after=True)
    return Span(first, max(first + 1, last if last is not None else first + 1))


def _source(pieces: Sequence[Piece], offset: int, *, after: bool = False) -> int | None:
    """Where in the source an offset of the SQL begins; `after`: where it ends."""
    for piece in pieces:
        if piece.value_start <= offset < piece.value_start + max(piece.length, 1):
            if piece.source_end - piece.source_start == piece.length:
                return piece.source_start + (offset - piece.value_start) + (1 if after else 0)
            return piece.source_end if after else piece.source_start
    return None
