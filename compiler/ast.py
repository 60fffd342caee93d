"""The expression tree: what a workflow says, from either door.

Nodes are immutable. Spans and the origins of texts do not take part in comparison, so that the same
expression written in two ways, or read from the SQL door's wire text, is the same tree.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from dfc.compiler.grouping import Mixed
from dfc.compiler.span import NOWHERE, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of a text's value that stands in the source as one run of the same length.

    `value_start`, `source_start` and `length` count code points. A run of length 1 may stand for several
    characters of the source (`''`, `\\n`); `source_end` then lies behind all of them.
    """

    value_start: int
    length: int
    source_start: int
    source_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The value of a string constant, and where in the source each part of it stands (in ascending order)."""

    value: str
    span: Span = field(default=NOWHERE, compare=False)
    pieces: tuple[Piece, ...] = field(default=(), compare=False, repr=False)

    def locate(self, start: int, end: int) -> Span:
        """The place in the source of `value[start:end]`; the whole constant where nothing is known."""
        first = self._source(start, ending=False)
        return Span(first, max(first, self._source(max(start, end), ending=True)))

    def _source(self, offset: int, *, ending: bool) -> int:
        index = bisect_right(self.pieces, offset, key=lambda piece: piece.value_start) - 1
        if ending and index > 0 and self.pieces[index].value_start == offset:
            # What ends here ends with the piece before, whatever the source has between the two.
            index -= 1
        if index >= 0:
            piece = self.pieces[index]
            inside = offset - piece.value_start
            if ending and inside == piece.length:
                return piece.source_end
            if inside < piece.length:
                return piece.source_start + inside
        return self.span.end if ending else self.span.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Sql:
    """One SQL statement as a step."""

    query: Text
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """A request with constant arguments. `headers` is JSON text as jsonb writes it, or None."""

    url: Text
    method: str
    body: Text | None
    headers: str | None
    timeout_seconds: int
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A named step: its name is its checkpoint's address."""

    name: Text
    body: Expression
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """`body |=> 'name'`: the result of the body under a name."""

    name: Text
    body: Expression
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """`a ~> b ~> c`, flat: no item is itself a chain."""

    items: tuple[Expression, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """`a & b` (two branches, nesting as written) or `df.join(a, b, ...)`."""

    branches: tuple[Expression, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """`a |=> b |=> c` or `df.parallel(a, b, c)`: one flat group; `(a |=> b) |=> c` is the same group."""

    branches: tuple[Expression, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A construct that parses and cannot be executed yet; `children` are checked all the same."""

    construct: str
    children: tuple[Expression, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Stands where a part is faulty, which has been reported. `children`: what of the part is well formed.

    A tree with a hole is checked like any other and has neither a plan nor a wire text.
    """

    children: tuple[Expression, ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


Expression = Sql | Http | Step | Bind | Chain | Join | FanOut | Later | Hole
Unordered = Later | Hole
"""What does not say in which order its children run, or whether they do at all."""


def links(expression: Expression) -> tuple[Expression, ...]:
    """What the expression is as a part of a chain: the items of a chain, anything else as it is."""
    return expression.items if isinstance(expression, Chain) else (expression,)


def placeholder(children: tuple[Expression, ...], span: Span) -> Expression:
    """What stands in the tree for a faulty part; the names of a single child hold behind it as ever."""
    match children:
        case (Hole(children=inner), *rest):
            return Hole(children=(*inner, *rest), span=span)  # so that long rows of faults stay flat
        case (Chain(items=(*_, Hole(children=()))),):
            return children[0]
        case (child,):
            return Chain(items=(*links(child), Hole(span=span)), span=span)
        case _:
            pass
    return Hole(children=children, span=span)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A statement of a file that is a workflow: a bare expression, or `SELECT df.start(...)` alone.

    `faulty`: something in it is wrong and has been reported; its body is checked, and gets no plan.
    """

    body: Expression
    label: str | None
    span: Span = field(default=NOWHERE, compare=False)
    mixed: tuple[Mixed, ...] = field(default=(), compare=False)
    faulty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatement:
    """A statement that goes to the server as it stands."""

    text: str
    span: Span = field(default=NOWHERE, compare=False)


Statement = Workflow | ServerStatement
