"""The expression tree: what a workflow says, from either door.

Nodes are immutable. Spans and the origins of texts do not take part in comparison, so that the same
expression written in two ways, or read from the SQL door's wire text, is the same tree.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum

from dfc.compiler.grouping import Mixed
from dfc.compiler.params import Params
from dfc.compiler.plan import Duration
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


PolicyValue = int | bool | str | Duration | tuple[str, ...]
"""A number, a truth value, a text (for `settings` JSON text as jsonb writes it), a duration, or texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The policy arguments of a call, in the order of the wire text; only those that were given."""

    given: tuple[tuple[str, PolicyValue], ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


NO_POLICIES = Policies()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sql:
    """One SQL statement as a step."""

    query: Text
    policies: Policies = NO_POLICIES
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A text that is exactly one reference (`'$ok'`, `'$x.c?'`): it stands for that value."""

    text: Text
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """A request with constant arguments. `headers` is JSON text as jsonb writes it, or None.

    `parts` is None but for `df.http_multipart`: then it is a JSON array as jsonb writes it, and there is no
    body.
    """

    url: Text
    method: str
    body: Text | None
    headers: str | None
    timeout_seconds: int
    parts: str | None = None
    policies: Policies = NO_POLICIES
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A named step: its name is its checkpoint's address."""

    name: Text
    body: Expression
    policies: Policies = NO_POLICIES
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
    cancels: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOut:
    """`a |=> b |=> c` or `df.parallel(a, b, c)`: one flat group; `(a |=> b) |=> c` is the same group."""

    branches: tuple[Expression, ...]
    cancels: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """`a | b` (two arms, nesting as written) or `df.race(a, b, ...)`; compiled as one race (outline.py)."""

    arms: tuple[Expression, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class If:
    """`c ?> t !> e`, or `df.if(c, t, e)`."""

    condition: Expression
    then: Expression
    otherwise: Expression | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IfRows:
    """`df.if_rows('name', t, e)`: whether a named result has rows."""

    name: Text
    then: Expression
    otherwise: Expression | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """`@> a`, or `df.loop(a, condition)`."""

    body: Expression
    condition: Expression | None = None
    keep_undos: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """`df.break(value)`."""

    value: Text | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """`df.map(items, body, ...)`. `items` is a `Sql` without policies, or a `Ref`."""

    items: Expression
    body: Expression
    name: Text
    max_parallel: int = 16
    batch_size: int = 1
    on_error: str = "fail"
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Atomic:
    """`df.atomic(body)`."""

    body: Expression
    policies: Policies = NO_POLICIES
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """`df.retry(body, max_attempts, ...)`; the policies have `max_attempts`."""

    body: Expression
    policies: Policies
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """`df.timeout(body, duration, else)`."""

    body: Expression
    duration: Duration
    otherwise: Expression | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """`df.try(body, catch, finally)`."""

    body: Expression
    catch: Expression
    final: Expression | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensate:
    """`df.compensate(do, undo)`."""

    body: Expression
    undo: Expression
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """`df.sleep(duration)`. A text has references: how long it is shows when the step runs."""

    duration: Duration | Text
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitUntil:
    """`df.wait_until(at)`: a text that PostgreSQL reads as a timestamptz, or that has references."""

    at: Text
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitSchedule:
    """`df.wait_for_schedule(cron, time_zone)`. Without a time zone it is UTC."""

    cron: Text
    time_zone: str | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitSignal:
    """`df.wait_for_signal(name, timeout)`."""

    name: Text
    timeout: Duration | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWorkflow:
    """`df.call(workflow, input, ...)`. `input` is JSON text as jsonb writes it; strings in it may refer."""

    workflow: Text
    input: str | None = None
    policies: Policies = NO_POLICIES
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitInstance:
    """`df.wait_for_instance(id, timeout)`. The id may have references."""

    instance: Text
    timeout: Duration | None = None
    span: Span = field(default=NOWHERE, compare=False)


DEFAULT_EVERY = Duration(microseconds=10_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFor:
    """`df.wait_for(query, every, timeout)`. `query` is one statement or one request."""

    query: Expression
    every: Duration = DEFAULT_EVERY
    timeout: Duration | None = None
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A value that nobody wrote: what a wait gives whose time is up. JSON text; it has no wire form."""

    value: str
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Stands where a part is faulty, which has been reported. `children`: what of the part is well formed.

    A tree with a hole is checked like any other and has neither a plan nor a wire text.
    """

    children: tuple[Expression, ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


Waiting = Sleep | WaitUntil | WaitSchedule | WaitSignal | CallWorkflow | WaitInstance
"""What waits for something, and has no parts."""
Structured = Race | If | IfRows | Loop | Map | Atomic | Retry | Timeout | Try | Compensate | WaitFor
Leaf = Sql | Ref | Http | Break | Waiting | Constant
Expression = Leaf | Step | Bind | Chain | Join | FanOut | Structured | Hole


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


class Submitting(StrEnum):
    """What a statement does with its workflow."""

    START = "start"
    DEFINE = "define"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A statement of a file that is a workflow: a bare expression, or a SELECT of df.start, df.define or
    df.schedule alone.

    `label` is the label of a start, or the name of what is defined or scheduled. `options` are the other
    arguments by name, each as the text that SQL reads as its type. `params` are the declared inputs of a
    definition. `faulty`: something in it is wrong and has been reported; its body is checked, and
    gets no plan.
    """

    body: Expression
    label: str | None
    kind: Submitting = Submitting.START
    options: tuple[tuple[str, str], ...] = ()
    params: Params | None = None
    on_failure: Expression | None = None
    span: Span = field(default=NOWHERE, compare=False)
    mixed: tuple[Mixed, ...] = field(default=(), compare=False)
    faulty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatement:
    """A statement that goes to the server as it stands. `starts`: it gives the id of a new instance.

    Of a call of df.start or df.schedule over the name of a definition, `submit`, `label` and `options` are
    what they are of a workflow, and `workflow` is that name.
    """

    text: str
    starts: bool = False
    submit: Submitting | None = None
    label: str | None = None
    workflow: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    span: Span = field(default=NOWHERE, compare=False)


Statement = Workflow | ServerStatement
