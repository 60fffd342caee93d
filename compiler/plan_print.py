"""The plan as a drawing for people: a chain as lines that begin with →, branches behind ║.

The layout follows pg_durable's df.explain, with the id of each node in front, because that is what
checkpoints and displays are named after. It is drawn from the plan alone, so a stored one can be shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from dfc.compiler.plan import (
    ArmsMode,
    ArmsNode,
    AtomicNode,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    Delivery,
    Duration,
    Form,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    LoopNode,
    MapNode,
    Node,
    OnError,
    Parameter,
    Plan,
    Policy,
    Request,
    RetryNode,
    ScheduleNode,
    SignalNode,
    SleepNode,
    SqlBody,
    SqlNode,
    TimeoutNode,
    TryNode,
    UntilNode,
    Use,
    ValueNode,
    Waiting,
)
from dfc.compiler.plan_shape import START, Level, Nest, Place, nest

SQL_SHOWN_CHARACTERS = 60
URL_SHOWN_CHARACTERS = 60
VALUE_SHOWN_CHARACTERS = 20

Mark = Callable[[Node], str]

_ROLES = {
    "condition": "? condition:",
    "then": "✓ then:",
    "else": "✗ else:",
    "while": "? while:",
}
_REPEATS = (LoopNode, MapNode, RetryNode)


@dataclass(frozen=True, slots=True)
class _Line:
    """A node to draw: what stands in front of its line, and how far its parts are moved in."""

    place: Place
    lead: str
    indent: str


def plan_text(plan: Plan, mark: Mark | None = None) -> str:
    """One line a node (and one a part), without a final newline.

    `mark` gives what stands behind a node's line, for instances that run: `✓`, `running 3 s`.
    """
    drawing = _Drawing(nest(plan))
    lines: list[str] = []
    todo: list[str | _Line] = drawing.block(0, "", "")
    while todo:
        entry = todo.pop()
        if isinstance(entry, str):
            lines.append(entry)
            continue
        node = drawing.nesting.node(entry.place)
        shown = mark(node) if mark is not None else ""
        lines.append(f"{entry.lead}{describe(node)}{f' {shown}' if shown else ''}")
        todo += drawing.parts(entry, node)
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Gives what is to be drawn in the order of a stack: the first line at the end."""

    nesting: Nest

    def block(self, number: int, lead: str, indent: str) -> list[str | _Line]:
        """The nodes of a block."""
        level = self.nesting.levels[number]
        return self.chain(level, len(level.nodes) - 1, START, lead, indent)

    def chain(self, level: Level, last: int, stop: int, lead: str, indent: str) -> list[str | _Line]:
        """The nodes of a block from behind `stop` to `last`."""
        indexes: list[int] = []
        here = last
        while here != stop:
            indexes.append(here)
            here = level.shape.before[here]
        first = len(indexes) - 1
        return [
            _Line(Place(level.number, index), lead if i == first else f"{indent}→ ", indent)
            for i, index in enumerate(indexes)
        ]

    def parts(self, line: _Line, node: Node) -> list[str | _Line]:
        """The branches of a group, or the blocks of a node, each below a line of its own."""
        level = self.nesting.levels[line.place.block]
        inner = f"{line.indent}      "
        drawn: list[str | _Line] = []
        if isinstance(node, JoinNode) and len(node.after) > 1:
            # A group of one has no fork in the graph: its branch stands in front of it, like a chain.
            stop = level.shape.before[line.place.index]
            for number in range(len(node.after), 0, -1):
                last = self.nesting.places[node.after[number - 1]].index
                lead = inner + ("└─" if number == len(node.after) else "├─")
                drawn += [
                    *self.chain(level, last, stop, lead, inner),
                    f"{line.indent}    ║ branch {number}:",
                ]
        blocks = self.nesting.inner.get(line.place, ())
        for block in reversed(blocks):
            more = isinstance(node, ArmsNode) and block != blocks[-1]
            lead = inner + ("├─" if more else "└─")
            role = _role(node, self.nesting.levels[block].role)
            drawn += [*self.block(block, lead, inner), f"{line.indent}    {role}"]
        return drawn


def _role(node: Node, role: str) -> str:
    if isinstance(node, ArmsNode):
        return f"║ {role}:"
    if role == "body" and isinstance(node, _REPEATS):
        return "↻ body:"
    return _ROLES.get(role, f"{role}:")


def describe(node: Node) -> str:
    """A node in one line: its kind, its id, the beginning of what it does, the names bound to its result."""
    names = "".join(f" |=> '{name}'" for name in node.bindings)
    match node:
        case SqlNode(body=body):
            outside = " (outside a transaction)" if body.form is Form.AUTOCOMMIT else ""
            said = f"SQL {node.id}: {_short(body.sql, SQL_SHOWN_CHARACTERS)}{outside}{_policy(node.policy)}"
        case HttpNode():
            said = f"HTTP {node.id}: {_request(node)}{_policy(node.policy)}"
        case JoinNode():
            said = f"JOIN {node.id} ({len(node.after)})"
        case ValueNode(parameter=parameter):
            said = f"VALUE {node.id}: {_reference(parameter)}"
        case IfNode():
            said = f"IF {node.id}"
        case LoopNode():
            said = f"LOOP {node.id} ({_rounds(node)})"
        case BreakNode(value=value):
            shown = value if isinstance(value, str) else value.sql
            said = f"BREAK {node.id}{'' if value == 'null' else f': {_short(shown, VALUE_SHOWN_CHARACTERS)}'}"
        case ArmsNode(mode=ArmsMode.RACE):
            said = f"RACE {node.id} ({len(node.arms)})"
        case ArmsNode():
            said = f"JOIN {node.id} ({len(node.arms)}, cancels at the first failure)"
        case MapNode():
            said = f"MAP {node.id}: {_map(node)}"
        case AtomicNode():
            said = f"ATOMIC {node.id}{_policy(node.policy)}"
        case RetryNode():
            said = f"RETRY {node.id}{_policy(node.policy)}"
        case TimeoutNode():
            said = f"TIMEOUT {node.id} ({_duration(node.duration)})"
        case TryNode():
            said = f"TRY {node.id}"
        case CompensateNode():
            said = f"COMPENSATE {node.id}"
        case ConstantNode():
            said = f"VALUE {node.id}: {_short(node.value, VALUE_SHOWN_CHARACTERS)}"
        case _:
            said = _waiting(node)
    return said + names


def _waiting(node: Waiting) -> str:
    match node:
        case SleepNode(duration=duration):
            length = _wait(duration) if isinstance(duration, Duration) else _computed(duration)
            return f"SLEEP {node.id}: {length}"
        case UntilNode():
            return f"UNTIL {node.id}: {_computed(node.at)}"
        case ScheduleNode():
            zone = "" if node.time_zone is None else f" ({node.time_zone})"
            return f"WAIT {node.id}: '{node.cron}'{zone}"
        case SignalNode():
            return f"SIGNAL {node.id}: '{_short(node.name, SQL_SHOWN_CHARACTERS)}'{_limit(node.timeout)}"
        case CallNode():
            given = "" if node.input is None else f" with {_computed(node.input)}"
            return (
                f"CALL {node.id}: {_short(node.workflow, SQL_SHOWN_CHARACTERS)}{given}{_policy(node.policy)}"
            )
        case InstanceNode():
            return f"INSTANCE {node.id}: {_computed(node.instance)}{_limit(node.timeout)}"
        case _:
            assert_never(node)


def _computed(value: str | SqlBody) -> str:
    """A text, or the statement that computes it."""
    return _short(value if isinstance(value, str) else value.sql, SQL_SHOWN_CHARACTERS)


def _limit(timeout: Duration | None) -> str:
    return "" if timeout is None else f" ({_wait(timeout)})"


def _wait(duration: Duration) -> str:
    """How long something waits: seconds as pg_durable shows them (`90s`), a calendar's units in words."""
    if duration.months or duration.days:
        return _duration(duration)
    seconds, fraction = divmod(duration.microseconds, 1_000_000)
    return f"{seconds}{f'.{fraction:06d}'.rstrip('0') if fraction else ''}s"


def _rounds(node: LoopNode) -> str:
    """What a loop's rounds depend on."""
    if node.every is not None:
        return f"until true, every {_wait(node.every)}"
    kept = ", keeps its undos" if node.keep_undos else ""
    return f"{'infinite' if node.condition is None else 'while'}{kept}"


def _duration(duration: Duration) -> str:
    """A duration as people write it: `1 month 2 days 1 h 3.5 s`."""
    parts: list[str] = []
    for count, unit in ((duration.months, "month"), (duration.days, "day")):
        if count:
            parts.append(f"{count} {unit}{'' if abs(count) == 1 else 's'}")
    sign, rest = ("-", -duration.microseconds) if duration.microseconds < 0 else ("", duration.microseconds)
    for size, unit in ((3_600_000_000, "h"), (60_000_000, "min")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{sign}{count} {unit}")
    if rest or not parts:
        seconds, fraction = divmod(rest, 1_000_000)
        decimals = f".{fraction:06d}".rstrip("0") if fraction else ""
        parts.append(f"{sign}{seconds}{decimals} s")
    return " ".join(parts)


def _policy(policy: Policy) -> str:
    """What of a policy changes what people see of the step."""
    said: list[str] = []
    if policy.max_attempts is not None:
        said.append(f"{policy.max_attempts} attempt{'' if policy.max_attempts == 1 else 's'}")
    if policy.timeout is not None:
        said.append(f"at most {_duration(policy.timeout)}")
    if policy.rate_limit is not None:
        said.append(f"{policy.rate_limit.count} in {policy.rate_limit.seconds} s")
    if policy.delivery is Delivery.AT_MOST_ONCE:
        said.append("at most once")
    if policy.database is not None:
        said.append(f"in database {policy.database}")
    if policy.isolation is not None:
        said.append(policy.isolation)
    if policy.on_error is OnError.CONTINUE:
        said.append("goes on after an error")
    return f" ({', '.join(said)})" if said else ""


def _map(node: MapNode) -> str:
    items = node.items
    what = _reference(items) if isinstance(items, Parameter) else _short(items.sql, SQL_SHOWN_CHARACTERS)
    said = [f"{node.max_parallel} at a time"]
    if node.batch_size > 1:
        said.append(f"{node.batch_size} rows each")
    if node.on_error is OnError.CONTINUE:
        said.append("goes on after an error")
    return f"${node.name} of {what} ({', '.join(said)})"


def _reference(parameter: Parameter) -> str:
    match parameter.use:
        case Use.ROWS:
            part = ".*"
        case Use.ERROR:
            part = f".error.{parameter.column}"
        case _:
            part = "" if parameter.column is None else f".{parameter.column}"
    counts = parameter.use is Use.ROW_COUNT and parameter.end > len(parameter.name) + 2
    return f"${parameter.name}{'.row_count' if counts else part}{'?' if parameter.optional else ''}"


def _request(node: HttpNode) -> str:
    match node.request:
        case Request(method=method, url=url):
            return f"{method} {_short(url, URL_SHOWN_CHARACTERS)}"
        case SqlBody(sql=sql):
            each = "for each row of " if node.many else ""
            return f"{each}{_short(sql, SQL_SHOWN_CHARACTERS)}"
        case _:
            assert_never(node.request)


def _short(text: str, limit: int) -> str:
    line = " ".join(text[: limit * 8].split())
    return line if len(line) <= limit and len(text) <= limit * 8 else f"{line[: limit - 1]}…"
