"""The plan as JSON: one writer, one reader. Defaults are left out; everything else is written as it is.

A block is the array of its nodes, the last of which has its result. The executor reads plans from here in
its hot path, so nothing but the plan's own modules is imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import assert_never

from dfc.compiler.plan import (
    DEFAULT_POLICY,
    ArmsMode,
    ArmsNode,
    AtomicNode,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    Delivery,
    Duration,
    HttpNode,
    IfNode,
    InstanceNode,
    JoinNode,
    Literal,
    LoopNode,
    MapNode,
    Node,
    OnError,
    Parameter,
    Part,
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
    ValueNode,
    Waiting,
    blocks_of,
)
from dfc.compiler.plan import READABLE_FORMATS as READABLE_FORMATS
from dfc.compiler.plan_fields import Json
from dfc.compiler.plan_fields import PlanFormatError as PlanFormatError
from dfc.compiler.plan_read import read
from dfc.compiler.plan_verify import verify


def to_json(plan: Plan) -> Json:
    """The plan as a JSON value of dicts, lists, strings, integers and booleans."""
    return {"format": plan.format, "nodes": _nodes(plan.nodes), "result": plan.result}


def canonical(plan: Plan) -> str:
    """The one text of a plan: sorted keys, no blanks, characters as they are."""
    return json.dumps(to_json(plan), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plan_hash(plan: Plan) -> str:
    """SHA-256 of the canonical text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(canonical(plan).encode()).hexdigest()


def from_json(value: object) -> Plan:
    """The plan that `value` (as `json.loads` gives it) says.

    Raises PlanFormatError for another format version, unknown or missing fields, wrong types, and for
    everything that `plan_verify.verify` finds.
    """
    plan = read(value)
    faults = verify(plan)
    if faults:
        raise PlanFormatError(f"the plan is not sound: {'; '.join(faults[:3])}")
    return plan


def _nodes(nodes: Sequence[Node]) -> list[Json]:
    """The nodes of a block with all blocks in them, worked off with a stack."""
    written: list[Json] = []
    todo: list[tuple[Sequence[Node], list[Json]]] = [(nodes, written)]
    while todo:
        block, into = todo.pop()
        for node in block:
            fields = _node(node)
            into.append(fields)
            inner: list[list[Json]] = []
            for role, part in blocks_of(node):
                inner.append([])
                todo.append((part.nodes, inner[-1]))
                if not isinstance(node, ArmsNode):
                    fields[role] = inner[-1]
            if isinstance(node, ArmsNode):
                fields["arms"] = inner
    return written


def _node(node: Node) -> Json:
    """A node without its blocks."""
    written: Json = {"id": node.id, "after": list(node.after)}
    match node:
        case SqlNode():
            written |= {"kind": "sql", "body": _body(node.body), **_guarded(node.policy)}
        case HttpNode(request=request):
            asked = _body(request) if isinstance(request, SqlBody) else _request(request)
            written |= {"kind": "http", "request": asked, **_guarded(node.policy)}
            if node.many:
                written["many"] = True
        case JoinNode():
            written["kind"] = "join"
        case ValueNode():
            written |= {"kind": "value", "parameter": _parameter(node.parameter)}
        case IfNode():
            written["kind"] = "if"
        case LoopNode():
            written["kind"] = "loop"
            if node.keep_undos:
                written["keep_undos"] = True
            if node.every is not None:
                written["every"] = _duration(node.every)
        case BreakNode(value=value):
            written |= {"kind": "break", "loop": node.loop}
            if value != "null":
                written["value"] = _computed(value)
        case ArmsNode():
            written["kind"] = "race" if node.mode is ArmsMode.RACE else "join"
        case MapNode():
            written |= {"kind": "map", **_map(node)}
        case AtomicNode():
            written |= {"kind": "atomic", **_guarded(node.policy)}
        case RetryNode():
            written |= {"kind": "retry", **_guarded(node.policy)}
        case TimeoutNode():
            written |= {"kind": "timeout", "duration": _duration(node.duration)}
        case TryNode():
            written["kind"] = "try"
        case CompensateNode():
            written["kind"] = "compensate"
        case ConstantNode():
            written |= {"kind": "constant", "value": node.value}
        case _:
            written |= _waiting(node)
    if node.bindings:
        written["bindings"] = list(node.bindings)
    if node.used:
        written["used"] = True
    return written


def _waiting(node: Waiting) -> Json:
    match node:
        case SleepNode(duration=duration):
            length = _duration(duration) if isinstance(duration, Duration) else _body(duration)
            return {"kind": "sleep", "duration": length}
        case UntilNode():
            return {"kind": "wait_until", "at": _computed(node.at)}
        case ScheduleNode():
            zone: Json = {} if node.time_zone is None else {"time_zone": node.time_zone}
            return {"kind": "wait_schedule", "cron": node.cron, **zone}
        case SignalNode():
            return {"kind": "signal", "name": node.name, **_timeout(node.timeout)}
        case CallNode():
            given: Json = {} if node.input is None else {"input": _computed(node.input)}
            return {"kind": "call", "workflow": node.workflow, **given, **_guarded(node.policy)}
        case InstanceNode():
            return {
                "kind": "wait_instance",
                "instance": _computed(node.instance),
                **_timeout(node.timeout),
            }
        case _:
            assert_never(node)


def _computed(value: str | SqlBody) -> str | Json:
    """A text, or the statement that computes it."""
    return value if isinstance(value, str) else _body(value)


def _timeout(duration: Duration | None) -> Json:
    return {} if duration is None else {"timeout": _duration(duration)}


def _map(node: MapNode) -> Json:
    items = node.items
    written: Json = {"items": _parameter(items) if isinstance(items, Parameter) else _body(items)}
    if node.name != "item":
        written["name"] = node.name
    if node.max_parallel != 16:
        written["max_parallel"] = node.max_parallel
    if node.batch_size != 1:
        written["batch_size"] = node.batch_size
    if node.on_error is not OnError.FAIL:
        written["on_error"] = node.on_error.value
    return written


def _guarded(policy: Policy) -> Json:
    """The policy as a field, unless everything in it is as it would be anyway."""
    if policy is DEFAULT_POLICY:
        return {}  # the most of them
    optional: Json = {
        "max_attempts": policy.max_attempts,
        "backoff": _optional_duration(policy.backoff),
        "max_backoff": _optional_duration(policy.max_backoff),
        "jitter": policy.jitter,
        "retry_on": None if policy.retry_on is None else list(policy.retry_on),
        "no_retry_on": None if policy.no_retry_on is None else list(policy.no_retry_on),
        "timeout": _optional_duration(policy.timeout),
        "on_error": None if policy.on_error is OnError.FAIL else policy.on_error.value,
        "rate_limit": None
        if policy.rate_limit is None
        else [policy.rate_limit.count, policy.rate_limit.seconds],
        "rate_key": policy.rate_key,
        "delivery": None if policy.delivery is Delivery.AT_LEAST_ONCE else policy.delivery.value,
        "database": policy.database,
        "isolation": policy.isolation,
        "settings": [[name, value] for name, value in policy.settings] or None,
        "retry_unsafe": policy.retry_unsafe or None,
        "retry_after_max": _optional_duration(policy.retry_after_max),
    }
    written = {name: value for name, value in optional.items() if value is not None}
    return {"policy": written} if written else {}


def _duration(duration: Duration) -> list[int]:
    return [duration.months, duration.days, duration.microseconds]


def _optional_duration(duration: Duration | None) -> list[int] | None:
    return None if duration is None else _duration(duration)


def _body(body: SqlBody) -> Json:
    written: Json = {
        "sql": body.sql,
        "kind": body.kind,
        "form": body.form.value,
        "returns": body.returns.value,
    }
    if body.parameters:
        written["parameters"] = [_parameter(parameter) for parameter in body.parameters]
    if body.literals:
        written["literals"] = [_literal(literal) for literal in body.literals]
    return written


def _parameter(parameter: Parameter) -> Json:
    written: Json = {
        "name": parameter.name,
        "source": parameter.source,
        "use": parameter.use.value,
        "start": parameter.start,
        "end": parameter.end,
    }
    if parameter.column is not None:
        written["column"] = parameter.column
    if parameter.optional:
        written["optional"] = True
    if parameter.aliased:
        written["aliased"] = True
    if parameter.otherwise:
        written["otherwise"] = list(parameter.otherwise)
    if parameter.identifier:
        written["identifier"] = True
    if parameter.type is not None:
        written["type"] = parameter.type
    return written


def _literal(literal: Literal) -> Json:
    written: Json = {"start": literal.start, "end": literal.end}
    if literal.type_start is not None:
        written["type_start"] = literal.type_start
    if literal.escapes:
        written["escapes"] = list(literal.escapes)
    return written


def _request(request: Request) -> Json:
    written: Json = {
        "url": request.url,
        "method": request.method,
        "timeout_seconds": request.timeout_seconds,
    }
    if request.body is not None:
        written["body"] = request.body
    if request.headers:
        written["headers"] = [[name, text] for name, text in request.headers]
    if request.parts:
        written["parts"] = [_part(part) for part in request.parts]
    return written


def _part(part: Part) -> Json:
    written: Json = {"name": part.name, "data_b64": part.data_b64}
    if part.filename is not None:
        written["filename"] = part.filename
    if part.content_type is not None:
        written["content_type"] = part.content_type
    return written
