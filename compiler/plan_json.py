"""The plan as JSON: one writer, one reader. Defaults are left out; everything else is written as it is.

The executor reads plans from here in its hot path, so nothing but the plan's own modules is imported.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import NoReturn, TypeVar, assert_never, cast

from dfc.compiler.plan import (
    PLAN_FORMAT,
    Form,
    HttpNode,
    JoinNode,
    Node,
    Parameter,
    Plan,
    Request,
    Returns,
    SqlBody,
    SqlNode,
    Use,
)
from dfc.compiler.plan_verify import verify

Json = dict[str, object]


class PlanFormatError(ValueError):
    """A JSON value is not a plan of a format that this program knows. The message says where and why."""


def to_json(plan: Plan) -> Json:
    """The plan as a JSON value of dicts, lists, strings, integers and booleans."""
    return {
        "format": plan.format,
        "nodes": [_node_to_json(node) for node in plan.nodes],
        "result": plan.result,
    }


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
    fields = _object(value, "plan")
    version = fields.get("format")
    if type(version) is not int or version != PLAN_FORMAT:
        raise PlanFormatError(
            f"plan format {version!r} is not known; this program reads format {PLAN_FORMAT}"
        )
    _known(fields, _PLAN_FIELDS, "plan")
    nodes = tuple([_node(node, f"nodes[{i}]") for i, node in enumerate(_array(fields, "nodes", "plan"))])
    plan = Plan(nodes=nodes, result=_text(fields, "result", "plan"))
    faults = verify(plan)
    if faults:
        raise PlanFormatError(f"the plan is not sound: {'; '.join(faults[:3])}")
    return plan


# Writing


def _node_to_json(node: Node) -> Json:
    written: Json = {"id": node.id, "after": list(node.after)}
    match node:
        case SqlNode():
            written["kind"] = "sql"
            written["body"] = _body_to_json(node.body)
        case HttpNode(request=request):
            written["kind"] = "http"
            written["request"] = (
                _body_to_json(request) if isinstance(request, SqlBody) else _request_to_json(request)
            )
            if node.many:
                written["many"] = True
        case JoinNode():
            written["kind"] = "join"
        case _:
            assert_never(node)
    if node.bindings:
        written["bindings"] = list(node.bindings)
    if node.used:
        written["used"] = True
    return written


def _body_to_json(body: SqlBody) -> Json:
    written: Json = {
        "sql": body.sql,
        "kind": body.kind,
        "form": body.form.value,
        "returns": body.returns.value,
    }
    if body.parameters:
        written["parameters"] = [_parameter_to_json(parameter) for parameter in body.parameters]
    return written


def _parameter_to_json(parameter: Parameter) -> Json:
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
    return written


def _request_to_json(request: Request) -> Json:
    written: Json = {
        "url": request.url,
        "method": request.method,
        "timeout_seconds": request.timeout_seconds,
    }
    if request.body is not None:
        written["body"] = request.body
    if request.headers:
        written["headers"] = [[name, text] for name, text in request.headers]
    return written


# Reading

_PLAN_FIELDS = frozenset({"format", "nodes", "result"})
_SQL_FIELDS = frozenset({"id", "after", "kind", "bindings", "used", "body"})
_HTTP_FIELDS = frozenset({"id", "after", "kind", "bindings", "used", "request", "many"})
_JOIN_FIELDS = frozenset({"id", "after", "kind", "bindings", "used"})
_BODY_FIELDS = frozenset({"sql", "kind", "form", "returns", "parameters"})
_PARAMETER_FIELDS = frozenset({"name", "source", "use", "start", "end", "column", "optional", "aliased"})
_REQUEST_FIELDS = frozenset({"url", "method", "body", "headers", "timeout_seconds"})


def _node(value: object, where: str) -> Node:
    fields = _object(value, where)
    kind = _text(fields, "kind", where)
    node_id = _text(fields, "id", where)
    after = _texts(fields, "after", where)
    bindings = _texts(fields, "bindings", where) if "bindings" in fields else ()
    used = _flag(fields, "used", where)
    match kind:
        case "sql":
            _known(fields, _SQL_FIELDS, where)
            body = _body(_object(fields.get("body"), f"{where}.body"), f"{where}.body")
            return SqlNode(id=node_id, after=after, body=body, bindings=bindings, used=used)
        case "http":
            _known(fields, _HTTP_FIELDS, where)
            return HttpNode(
                id=node_id,
                after=after,
                request=_request(fields.get("request"), f"{where}.request"),
                many=_flag(fields, "many", where),
                bindings=bindings,
                used=used,
            )
        case "join":
            _known(fields, _JOIN_FIELDS, where)
            return JoinNode(id=node_id, after=after, bindings=bindings, used=used)
        case _:
            raise PlanFormatError(f"{where}.kind is {kind!r}, which is not a kind of node")


def _body(fields: Json, where: str) -> SqlBody:
    _known(fields, _BODY_FIELDS, where)
    parameters: tuple[Parameter, ...] = ()
    if "parameters" in fields:
        parameters = tuple(
            [
                _parameter(value, f"{where}.parameters[{i}]")
                for i, value in enumerate(_array(fields, "parameters", where))
            ]
        )
    return SqlBody(
        sql=_text(fields, "sql", where),
        kind=_text(fields, "kind", where),
        form=_choice(Form, fields, "form", where),
        returns=_choice(Returns, fields, "returns", where),
        parameters=parameters,
    )


def _parameter(value: object, where: str) -> Parameter:
    fields = _object(value, where)
    _known(fields, _PARAMETER_FIELDS, where)
    return Parameter(
        name=_text(fields, "name", where),
        source=_text(fields, "source", where),
        use=_choice(Use, fields, "use", where),
        start=_integer(fields, "start", where),
        end=_integer(fields, "end", where),
        column=_text(fields, "column", where) if "column" in fields else None,
        optional=_flag(fields, "optional", where),
        aliased=_flag(fields, "aliased", where),
    )


def _request(value: object, where: str) -> Request | SqlBody:
    fields = _object(value, where)
    if "sql" in fields:
        return _body(fields, where)
    _known(fields, _REQUEST_FIELDS, where)
    headers: list[tuple[str, str]] = []
    if "headers" in fields:
        for pair in _array(fields, "headers", where):
            match pair:
                case [str(name), str(text)]:
                    headers.append((name, text))
                case _:
                    _wrong(where, "headers", "an array of pairs of strings")
    return Request(
        url=_text(fields, "url", where),
        method=_text(fields, "method", where),
        body=_text(fields, "body", where) if "body" in fields else None,
        headers=tuple(headers),
        timeout_seconds=_integer(fields, "timeout_seconds", where),
    )


def _object(value: object, where: str) -> Json:
    if type(value) is not dict:
        raise PlanFormatError(f"{where} is not an object")
    return cast(Json, value)


def _known(fields: Json, names: frozenset[str], where: str) -> None:
    if not fields.keys() <= names:
        unknown = min(map(str, fields.keys() - names))
        raise PlanFormatError(f"{where} has the field {unknown!r}, which this program does not know")


def _array(fields: Json, name: str, where: str) -> list[object]:
    value = fields.get(name)
    if type(value) is not list:
        _wrong(where, name, "an array")
    return cast("list[object]", value)


def _text(fields: Json, name: str, where: str) -> str:
    value = fields.get(name)
    if type(value) is not str:
        _wrong(where, name, "a string")
    return value


def _texts(fields: Json, name: str, where: str) -> tuple[str, ...]:
    values = _array(fields, name, where)
    for value in values:
        if type(value) is not str:
            _wrong(where, name, "an array of strings")
    return tuple(cast("list[str]", values))


def _integer(fields: Json, name: str, where: str) -> int:
    value = fields.get(name)
    if type(value) is not int:
        _wrong(where, name, "an integer")
    return value


def _flag(fields: Json, name: str, where: str) -> bool:
    value = fields.get(name, False)
    if type(value) is not bool:
        _wrong(where, name, "true or false")
    return value


_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(choices: type[_Choice], fields: Json, name: str, where: str) -> _Choice:
    value = _text(fields, name, where)
    try:
        return choices(value)
    except ValueError:
        _wrong(where, name, " or ".join(f'"{choice}"' for choice in choices))


def _wrong(where: str, name: str, expected: str) -> NoReturn:
    raise PlanFormatError(f"{where}.{name} is not {expected}")
