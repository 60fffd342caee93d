"""What must be true of each node of a plan, whatever stands around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import assert_never

from dfc.compiler.plan import (
    DEFAULT_POLICY,
    INPUT,
    ArmsNode,
    AtomicNode,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    Duration,
    Form,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    Literal,
    LoopNode,
    MapNode,
    Node,
    Parameter,
    Policy,
    Request,
    RetryNode,
    Returns,
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
    is_database,
)

ISOLATIONS = ("read committed", "repeatable read", "serializable")
ERROR_FIELDS = ("message", "sqlstate")

TYPE_CHARACTERS_MAX = 300
_TYPE = re.compile(r'[A-Za-z_"\x80-\U0010ffff][A-Za-z0-9_ ()\[\],."$\x80-\U0010ffff]*')
_METHOD = re.compile(r"[A-Z]{1,20}")


def is_type_name(text: str) -> bool:
    """Whether a text may be the name of a type: it stands in statements as it is."""
    return len(text) <= TYPE_CHARACTERS_MAX and _TYPE.fullmatch(text) is not None


def contents(node: Node) -> Iterator[str]:
    """The faults of a node itself, one sentence each."""
    if any(not name for name in node.bindings):
        yield f"a binding of `{node.id}` is empty"
    if len(set(node.bindings)) != len(node.bindings):
        yield f"node `{node.id}` has a binding twice"
    match node:
        case SqlNode():
            yield from _statement(node.id, node.body)
            yield from _policy(node.id, node.policy)
        case HttpNode():
            yield from _request(node)
            yield from _policy(node.id, node.policy)
        case ValueNode():
            yield from _lone(node.id, node.parameter)
            if node.parameter.use is Use.ROWS:
                yield f"the value `{node.id}` is a table"
        case BreakNode(value=value) | ConstantNode(value=value):
            yield from _value(node.id, "value", value)
        case MapNode():
            yield from _map(node)
        case AtomicNode():
            yield from _policy(node.id, node.policy)
        case RetryNode():
            yield from _policy(node.id, node.policy)
            if node.policy.max_attempts is None:
                yield f"`{node.id}` does not say how often it is attempted"
        case TimeoutNode():
            if not _is_positive(node.duration):
                yield f"the time limit of `{node.id}` is not a time"
        case LoopNode():
            yield from _loop(node)
        case JoinNode() | IfNode() | ArmsNode() | TryNode() | CompensateNode():
            pass
        case _:
            yield from _waiting(node)


def _value(node_id: str, what: str, value: str | SqlBody) -> Iterator[str]:
    """JSON text, or what computes it."""
    if isinstance(value, SqlBody):
        yield from _query(node_id, value)
    elif not _is_json(value):
        yield f"the {what} of `{node_id}` is not JSON"


def _loop(node: LoopNode) -> Iterator[str]:
    if node.every is None:
        return
    if not _is_positive(node.every):
        yield f"`{node.id}` waits no time between two rounds"
    if node.condition is not None:
        yield f"`{node.id}` waits for its own result and has a condition"


def _waiting(node: Waiting) -> Iterator[str]:
    match node:
        case SleepNode(duration=duration):
            if isinstance(duration, SqlBody):
                yield from _query(node.id, duration)
            elif not _is_time(duration):
                yield f"`{node.id}` waits a negative time"
        case UntilNode(at=text) | InstanceNode(instance=text):
            if isinstance(text, SqlBody):
                yield from _query(node.id, text)
            elif not text.strip():
                yield f"`{node.id}` does not say what it waits for"
        case ScheduleNode():
            if not node.cron.strip() or node.time_zone == "":
                yield f"`{node.id}` has no schedule"
        case SignalNode():
            if not node.name:
                yield f"the signal of `{node.id}` has no name"
        case CallNode():
            yield from _policy(node.id, node.policy)
            if not node.workflow:
                yield f"the workflow of `{node.id}` has no name"
            if node.input is not None:
                yield from _value(node.id, "input", node.input)
        case _:
            assert_never(node)
    timeout = node.timeout if isinstance(node, SignalNode | InstanceNode) else None
    if timeout is not None and not _is_positive(timeout):
        yield f"the time limit of `{node.id}` is not a time"


def _request(node: HttpNode) -> Iterator[str]:
    request = node.request
    if isinstance(request, SqlBody):
        yield from _query(node.id, request)
        return
    if node.many:
        yield f"`{node.id}` has one constant request and says `many`"
    if not request.url:
        yield f"the request of `{node.id}` has no URL"
    if _METHOD.fullmatch(request.method) is None:
        yield f"the method of `{node.id}` is `{request.method}`"
    if request.timeout_seconds <= 0:
        yield f"the timeout of `{node.id}` is {request.timeout_seconds} seconds"
    yield from _parts(node.id, request)


def _parts(node_id: str, request: Request) -> Iterator[str]:
    if request.parts and request.body is not None:
        yield f"the request of `{node_id}` has parts and a body"
    if any(not part.name for part in request.parts):
        yield f"a part of the request of `{node_id}` has no name"


def _map(node: MapNode) -> Iterator[str]:
    if isinstance(node.items, SqlBody):
        yield from _query(node.id, node.items)
    else:
        yield from _lone(node.id, node.items)
        if node.items.use not in (Use.VALUE, Use.ROWS, Use.JSON):
            yield f"the items of `{node.id}` are not rows"
    if not node.name:
        yield f"the items of `{node.id}` have no name"
    if node.max_parallel < 1 or node.batch_size < 1:
        yield f"`{node.id}` runs {node.max_parallel} at a time, of {node.batch_size} items each"


def _query(node_id: str, body: SqlBody) -> Iterator[str]:
    """A statement that is asked for what it returns."""
    yield from _statement(node_id, body)
    if body.returns is not Returns.ROWS or body.form is Form.AUTOCOMMIT:
        yield f"what `{node_id}` asks for is not computed by a query"


def _statement(node_id: str, body: SqlBody) -> Iterator[str]:
    if not body.sql.strip():
        yield f"the statement of `{node_id}` is empty"
    if not body.kind:
        yield f"the statement of `{node_id}` has no kind"
    behind = 0
    for parameter in body.parameters:
        if not behind <= parameter.start < parameter.end <= len(body.sql):
            yield f"the parameters of `{node_id}` are out of order or out of range at {parameter.start}"
            return
        behind = parameter.end
        if not body.sql.startswith("$", parameter.start):
            yield f"no reference stands at {parameter.start} in the statement of `{node_id}`"
        yield from _use(node_id, parameter)
    yield from _literals(node_id, body)


def _lone(node_id: str, parameter: Parameter) -> Iterator[str]:
    if parameter.start != 0 or parameter.end < 2:
        yield f"the reference of `{node_id}` does not stand alone"
    yield from _use(node_id, parameter)


def _use(node_id: str, parameter: Parameter) -> Iterator[str]:
    if parameter.use is Use.ERROR:
        if parameter.column not in ERROR_FIELDS:
            yield f"`${parameter.name}` in `{node_id}` wants no field of an error"
    elif parameter.use is not Use.VALUE and parameter.column is not None:
        yield f"`${parameter.name}` in `{node_id}` wants a column and not a value"
    if parameter.type is not None and (parameter.source != INPUT or not is_type_name(parameter.type)):
        yield f"`${parameter.name}` in `{node_id}` is of a declared type and no parameter of the workflow"


def _literals(node_id: str, body: SqlBody) -> Iterator[str]:
    """Literals do not overlap, lie around whole references, and have at least one, or an escape."""
    behind = place = 0
    for literal in body.literals:
        first = literal.start if literal.type_start is None else literal.type_start
        if not (behind <= first <= literal.start < literal.end <= len(body.sql)):
            yield f"the literals of `{node_id}` are out of order or out of range at {literal.start}"
            return
        behind = literal.end
        while place < len(body.parameters) and body.parameters[place].end <= first:
            place += 1
        inside = 0
        while place < len(body.parameters) and body.parameters[place].start < literal.end:
            inside += 1
            if not _holds(literal, body.parameters[place]):
                yield f"a reference of `{node_id}` reaches out of the literal at {literal.start}"
            place += 1
        if not inside and not literal.escapes:
            yield f"the literal of `{node_id}` at {literal.start} has no reference"
        for escape in literal.escapes:
            if not (literal.start < escape < literal.end and body.sql.startswith("$$", escape)):
                yield f"no escape stands at {escape} in the statement of `{node_id}`"


def _holds(literal: Literal, parameter: Parameter) -> bool:
    return literal.start <= parameter.start and parameter.end <= literal.end


def _policy(node_id: str, policy: Policy) -> Iterator[str]:
    if policy is DEFAULT_POLICY:
        return
    if policy.max_attempts is not None and policy.max_attempts < 1:
        yield f"`{node_id}` is attempted {policy.max_attempts} times"
    for duration in (policy.backoff, policy.max_backoff, policy.retry_after_max):
        if duration is not None and not _is_time(duration):
            yield f"`{node_id}` waits a negative time"
    if policy.timeout is not None and not _is_positive(policy.timeout):
        yield f"the time limit of `{node_id}` is not a time"
    if policy.database is not None and not is_database(policy.database):
        yield f"the database of `{node_id}` has a name that no database has"
    if policy.isolation is not None and policy.isolation not in ISOLATIONS:
        yield f"the isolation of `{node_id}` is `{policy.isolation}`"
    rate = policy.rate_limit
    if rate is not None and (rate.count < 1 or rate.seconds < 1):
        yield f"the rate of `{node_id}` is {rate.count} in {rate.seconds} seconds"
    if any(not name for name, _ in policy.settings):
        yield f"a setting of `{node_id}` has no name"


def _is_time(duration: Duration) -> bool:
    """A part may be negative (`1 day -1 hour`), the whole may not."""
    return _length(duration) >= 0


def _is_positive(duration: Duration) -> bool:
    return _length(duration) > 0


def _length(duration: Duration) -> int:
    return (duration.months * 30 + duration.days) * 86_400_000_000 + duration.microseconds


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")
