"""The reader of plans as JSON. It takes nothing that the writer in `plan_json` does not write.

Blocks are found first, from the outside in, and made then from the inside out, so that nesting costs no
stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from dfc.compiler.plan import (
    DEFAULT_POLICY,
    READABLE_FORMATS,
    ArmsMode,
    ArmsNode,
    AtomicNode,
    Block,
    BreakNode,
    CallNode,
    CompensateNode,
    ConstantNode,
    Delivery,
    Form,
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
    RateLimit,
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
)
from dfc.compiler.plan_fields import Fields, PlanFormatError

_PARTS: Mapping[str, tuple[str, ...]] = {
    "if": ("condition", "then", "else"),
    "loop": ("body", "while"),
    "map": ("body",),
    "atomic": ("body",),
    "retry": ("body",),
    "timeout": ("body", "else"),
    "try": ("body", "catch", "finally"),
    "compensate": ("body", "undo"),
}
"""The blocks that a kind of node may have, apart from arms."""
_ARMED = frozenset({"race", "join"})
"""The kinds that may have arms; a join without waits for branches of its own block."""
_OF_FORMAT_1 = frozenset({"sql", "http", "join"})
_OF_FORMAT_2 = _OF_FORMAT_1 | {"value", "break", "race", *_PARTS}
_OLDER = {1: _OF_FORMAT_1, 2: _OF_FORMAT_2}
"""The kinds of nodes that older formats have."""

_Blocks = Mapping[str, tuple[Block, ...]]


@dataclass(slots=True)
class _Raw:
    """A block as it was found: its nodes, and by node the numbers of the blocks of each part."""

    nodes: list[Fields]
    inner: list[dict[str, list[int]]] = field(default_factory=list[dict[str, list[int]]])


def read(value: object) -> Plan:
    """The plan that a JSON value says, of whose soundness nothing is known yet. Raises PlanFormatError."""
    fields = Fields(value, "plan")
    version = fields.value("format")
    if type(version) is not int or version not in READABLE_FORMATS:
        formats = ", ".join(map(str, READABLE_FORMATS))
        raise PlanFormatError(
            f"plan format {version!r} is not known; this program reads the formats {formats}"
        )
    nodes = fields.array("nodes")
    result = fields.text("result")
    fields.done()
    blocks = _found(nodes)
    if version in _OLDER:
        _check_kinds(blocks, version, _OLDER[version])
    made: dict[int, Block] = {}
    for number in range(len(blocks) - 1, 0, -1):
        inner = _made(blocks[number], made)
        made[number] = Block(nodes=inner, result=inner[-1].id)
    return Plan(nodes=_made(blocks[0], made), result=result, format=version)


def _found(nodes: list[object]) -> list[_Raw]:
    """All blocks, each behind the one that holds it."""
    blocks = [_raw(nodes, "nodes")]
    for block in blocks:
        for node in block.nodes:
            inner: dict[str, list[int]] = {}
            for part, where, found in _parts(node):
                if not found:
                    raise PlanFormatError(f"{where} has no nodes")
                inner.setdefault(part, []).append(len(blocks))
                blocks.append(_raw(found, where))
            block.inner.append(inner)
    return blocks


def _raw(nodes: list[object], where: str) -> _Raw:
    return _Raw([Fields(node, f"{where}[{i}]") for i, node in enumerate(nodes)])


def _parts(node: Fields) -> list[tuple[str, str, list[object]]]:
    """The blocks of a node as they are written: of which part, where, and their nodes."""
    kind = node.text("kind")
    if kind in _ARMED:
        arms = node.arrays("arms") if kind == "race" or "arms" in node else []
        return [("arms", f"{node.where}.arms[{i}]", arm) for i, arm in enumerate(arms)]
    parts = [part for part in _PARTS.get(kind, ()) if part in node]
    return [(part, f"{node.where}.{part}", node.array(part)) for part in parts]


def _check_kinds(blocks: list[_Raw], version: int, kinds: frozenset[str]) -> None:
    for block in blocks:
        for node in block.nodes:
            kind = node.text("kind")
            if kind not in kinds or (version == 1 and "arms" in node):
                raise PlanFormatError(
                    f"{node.where}.kind is {kind!r}, which is not a kind of node of format {version}"
                )


def _made(raw: _Raw, blocks: Mapping[int, Block]) -> tuple[Node, ...]:
    nodes: list[Node] = []
    for fields, inner in zip(raw.nodes, raw.inner, strict=True):
        parts = {part: tuple([blocks[number] for number in numbers]) for part, numbers in inner.items()}
        nodes.append(_node(fields, parts))
        fields.done()
    return tuple(nodes)


def _node(fields: Fields, parts: _Blocks) -> Node:
    kind = fields.text("kind")
    id = fields.text("id")
    after = fields.texts("after")
    bindings = fields.optional_texts("bindings") or ()
    used = fields.flag("used")
    match kind:
        case "sql":
            node = SqlNode(id=id, after=after, body=_body(fields.object("body")), policy=_policy(fields))
        case "http":
            node = HttpNode(
                id=id,
                after=after,
                request=_request(fields.object("request")),
                many=fields.flag("many"),
                policy=_policy(fields),
            )
        case "join" if "arms" not in parts:
            node = JoinNode(id=id, after=after)
        case "value":
            node = ValueNode(id=id, after=after, parameter=_parameter(fields.object("parameter")))
        case "break":
            node = BreakNode(id=id, after=after, loop=fields.text("loop"), value=_value(fields))
        case _:
            if kind in _STRUCTURES:
                node = _STRUCTURES[kind](fields, parts, id, after)
            else:
                node = _waiting(fields, kind, id, after)
    return replace(node, bindings=bindings, used=used) if bindings or used else node


def _waiting(fields: Fields, kind: str, id: str, after: tuple[str, ...]) -> Node:
    """A node that waits for a moment, a signal or another instance, or a constant."""
    match kind:
        case "sleep":
            known = isinstance(fields.value("duration"), list)
            duration = fields.duration("duration") if known else _body(fields.object("duration"))
            return SleepNode(id=id, after=after, duration=duration)
        case "wait_until":
            return UntilNode(id=id, after=after, at=_computed(fields, "at"))
        case "wait_schedule":
            zone = fields.optional_text("time_zone")
            return ScheduleNode(id=id, after=after, cron=fields.text("cron"), time_zone=zone)
        case "signal":
            timeout = fields.optional_duration("timeout")
            return SignalNode(id=id, after=after, name=fields.text("name"), timeout=timeout)
        case "call":
            return CallNode(
                id=id,
                after=after,
                workflow=fields.text("workflow"),
                input=_computed(fields, "input") if "input" in fields else None,
                policy=_policy(fields),
            )
        case "wait_instance":
            return InstanceNode(
                id=id,
                after=after,
                instance=_computed(fields, "instance"),
                timeout=fields.optional_duration("timeout"),
            )
        case "constant":
            return ConstantNode(id=id, after=after, value=fields.text("value"))
        case _:
            raise PlanFormatError(f"{fields.where}.kind is {kind!r}, which is not a kind of node")


def _one(fields: Fields, parts: _Blocks, part: str) -> Block:
    if part not in parts:
        fields.wrong(part, "an array")
    return parts[part][0]


def _optional(parts: _Blocks, part: str) -> Block | None:
    return parts[part][0] if part in parts else None


def _if(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    return IfNode(
        id=id,
        after=after,
        condition=_one(fields, parts, "condition"),
        then=_one(fields, parts, "then"),
        otherwise=_optional(parts, "else"),
    )


def _loop(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    return LoopNode(
        id=id,
        after=after,
        body=_one(fields, parts, "body"),
        condition=_optional(parts, "while"),
        keep_undos=fields.flag("keep_undos"),
        every=fields.optional_duration("every"),
    )


def _arms(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    mode = ArmsMode.RACE if fields.text("kind") == "race" else ArmsMode.ALL_OR_CANCEL
    return ArmsNode(id=id, after=after, arms=parts.get("arms", ()), mode=mode)


def _map(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    items = fields.object("items")
    return MapNode(
        id=id,
        after=after,
        items=_body(items) if "sql" in items else _parameter(items),
        body=_one(fields, parts, "body"),
        name=fields.text("name") if "name" in fields else "item",
        max_parallel=fields.integer("max_parallel", 16),
        batch_size=fields.integer("batch_size", 1),
        on_error=fields.choice(OnError, "on_error", OnError.FAIL),
    )


def _atomic(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    return AtomicNode(id=id, after=after, body=_one(fields, parts, "body"), policy=_policy(fields))


def _retry(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    return RetryNode(id=id, after=after, body=_one(fields, parts, "body"), policy=_policy(fields))


def _timeout(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    return TimeoutNode(
        id=id,
        after=after,
        body=_one(fields, parts, "body"),
        duration=fields.duration("duration"),
        otherwise=_optional(parts, "else"),
    )


def _try(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    return TryNode(
        id=id,
        after=after,
        body=_one(fields, parts, "body"),
        catch=_one(fields, parts, "catch"),
        final=_optional(parts, "finally"),
    )


def _compensate(fields: Fields, parts: _Blocks, id: str, after: tuple[str, ...]) -> Node:
    body, undo = _one(fields, parts, "body"), _one(fields, parts, "undo")
    return CompensateNode(id=id, after=after, body=body, undo=undo)


_STRUCTURES: Mapping[str, Callable[[Fields, _Blocks, str, tuple[str, ...]], Node]] = {
    "if": _if,
    "loop": _loop,
    "race": _arms,
    "join": _arms,
    "map": _map,
    "atomic": _atomic,
    "retry": _retry,
    "timeout": _timeout,
    "try": _try,
    "compensate": _compensate,
}


def _value(fields: Fields) -> str | SqlBody:
    """The value of a break: JSON text, or the statement that computes it."""
    return _computed(fields, "value") if "value" in fields else "null"


def _computed(fields: Fields, name: str) -> str | SqlBody:
    """A text, or the statement that computes it."""
    value = fields.value(name)
    return value if isinstance(value, str) else _body(fields.object(name))


def _body(fields: Fields) -> SqlBody:
    body = SqlBody(
        sql=fields.text("sql"),
        kind=fields.text("kind"),
        form=fields.choice(Form, "form"),
        returns=fields.choice(Returns, "returns"),
        parameters=tuple([_parameter(each) for each in fields.objects("parameters")]),
        literals=tuple([_literal(each) for each in fields.objects("literals")]),
    )
    fields.done()
    return body


def _parameter(fields: Fields) -> Parameter:
    parameter = Parameter(
        name=fields.text("name"),
        source=fields.text("source"),
        use=fields.choice(Use, "use"),
        start=fields.integer("start"),
        end=fields.integer("end"),
        column=fields.optional_text("column"),
        optional=fields.flag("optional"),
        aliased=fields.flag("aliased"),
        otherwise=fields.optional_texts("otherwise") or (),
        identifier=fields.flag("identifier"),
        type=fields.optional_text("type"),
    )
    fields.done()
    return parameter


def _literal(fields: Fields) -> Literal:
    literal = Literal(
        start=fields.integer("start"),
        end=fields.integer("end"),
        type_start=fields.optional_integer("type_start"),
        escapes=fields.integers("escapes") if "escapes" in fields else (),
    )
    fields.done()
    return literal


def _request(fields: Fields) -> Request | SqlBody:
    if "sql" in fields:
        return _body(fields)
    request = Request(
        url=fields.text("url"),
        method=fields.text("method"),
        body=fields.optional_text("body"),
        headers=fields.pairs("headers"),
        timeout_seconds=fields.integer("timeout_seconds"),
        parts=tuple([_part(each) for each in fields.objects("parts")]),
    )
    fields.done()
    return request


def _part(fields: Fields) -> Part:
    part = Part(
        name=fields.text("name"),
        data_b64=fields.text("data_b64"),
        filename=fields.optional_text("filename"),
        content_type=fields.optional_text("content_type"),
    )
    fields.done()
    return part


def _policy(node: Fields) -> Policy:
    if "policy" not in node:
        return DEFAULT_POLICY
    fields = node.object("policy")
    rate = fields.integers("rate_limit", 2) if "rate_limit" in fields else None
    policy = Policy(
        max_attempts=fields.optional_integer("max_attempts"),
        backoff=fields.optional_duration("backoff"),
        max_backoff=fields.optional_duration("max_backoff"),
        jitter=fields.optional_flag("jitter"),
        retry_on=fields.optional_texts("retry_on"),
        no_retry_on=fields.optional_texts("no_retry_on"),
        timeout=fields.optional_duration("timeout"),
        on_error=fields.choice(OnError, "on_error", OnError.FAIL),
        rate_limit=None if rate is None else RateLimit(count=rate[0], seconds=rate[1]),
        rate_key=fields.optional_text("rate_key"),
        delivery=fields.choice(Delivery, "delivery", Delivery.AT_LEAST_ONCE),
        database=fields.optional_text("database"),
        isolation=fields.optional_text("isolation"),
        settings=fields.pairs("settings"),
        retry_unsafe=fields.flag("retry_unsafe"),
        retry_after_max=fields.optional_duration("retry_after_max"),
    )
    fields.done()
    return policy
