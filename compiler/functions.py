"""What a call means: the nodes that the functions of schema df make, checked argument by argument."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dfc.compiler import constants
from dfc.compiler.ast import Bind, Chain, Expression, FanOut, Http, Join, Later, Sql, Step, Text
from dfc.compiler.calls import Bound, Report, bind, check_type, nearest
from dfc.compiler.constants import ConstantFault
from dfc.compiler.diagnostics import error
from dfc.compiler.json_text import JsonObject
from dfc.compiler.names import LONE_REFERENCE, is_blank, is_identifier, is_reference, name_fault
from dfc.compiler.signatures import (
    HELPERS,
    HTTP_METHODS,
    JSON_BUILDERS,
    STEPS,
    SUBMISSIONS,
    Parameter,
    Signature,
    Want,
)
from dfc.compiler.span import Span
from dfc.compiler.values import (
    Argument,
    Document,
    Faulty,
    Null,
    Number,
    String,
    Submission,
    Tree,
    Value,
    described,
)
from dfc.compiler.wire import MARKER, WireError, decode

_URL = re.compile(r"https?://|\$[^$0-9]|\{", re.IGNORECASE)
_START_DEFAULTS = {"transaction_mode": "caller", "priority": "0", "queue": "default"}
_TRANSACTION_MODES = ("caller", "new")


class Functions:
    """Turns calls and constants into nodes; problems go to `report`.

    `has_plan`: a df.start with a compiled plan has been seen, which is for the server alone.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self.has_plan = False

    def _fault(self, code: str, message: str, span: Span, *, help: str = "") -> None:
        self._report(error(code, message, span, help=help))

    def expression(self, value: Value) -> Expression | None:
        """The value where an expression has to stand; None when it cannot be one, which has been reported."""
        match value:
            case Tree():
                return value.expression
            case Faulty():
                return None
            case String():
                return self._plain(value)
            case Submission():
                self._fault(
                    "DF155",
                    f"`df.{value.function}` is not a step",
                    value.span,
                    help=f"write `SELECT df.{value.function}(...)` as a statement of its own",
                )
            case Null():
                self._fault(
                    "DF116",
                    "NULL stands where a workflow expression belongs",
                    value.span,
                    help="write a step there, or leave the argument out if it is optional",
                )
            case _:
                self._fault(
                    "DF159",
                    f"{described(value)} is not a workflow expression",
                    value.span,
                    help="write a step there: SQL in quotes, or a `df.` function",
                )
        return None

    def _plain(self, value: String) -> Expression | None:
        """A string as an expression: SQL, or the value of a reference that stands alone."""
        text = value.text.value
        if MARKER in text:
            return self._wired(value)
        if is_identifier(text):
            shown = text if len(text) <= 63 else text[:60] + "..."
            self._fault(
                "DF112",
                f"`{shown}` is one bare word, not SQL",
                value.span,
                help=f"write `df.call('{shown}')` for a defined workflow, `df.sql('{shown}')` for SQL",
            )
            return None
        return self._sql(value.text, value.span)

    def _sql(self, query: Text, span: Span) -> Expression | None:
        if is_blank(query.value):
            self._fault("DF116", "this step is empty", span, help="write one SQL statement")
            return None
        if is_reference(query.value):
            return Later(construct=f"{query.value}{LONE_REFERENCE}", children=(), span=span)
        return Sql(query=query, span=span)

    def _wired(self, value: String) -> Expression | None:
        try:
            return decode(value.text.value)
        except WireError as fault:
            self._fault(
                "DF115",
                f"this text has a piece of an expression in it: {fault}",
                value.span,
                help="write the expression itself, without quotes",
            )
            return None

    def name(self, value: String) -> Text | None:
        """The name that a string gives to a binding; None when it cannot be one, which has been reported."""
        fault = name_fault(value.text.value)
        if not fault:
            return value.text
        self._fault("DF113", f"the name `{value.text.value}` {fault}", value.span, help="choose another name")
        return None

    # Calls

    def call(
        self, parts: tuple[str, ...], name_span: Span, arguments: Sequence[Argument], span: Span
    ) -> Value:
        """The value of a call of the function that `parts` name."""
        name = parts[-1]
        if parts[:-1] in ((), ("pg_catalog",)) and name in JSON_BUILDERS:
            return self._json(name, arguments, span)
        if parts[:-1] == ("df",):
            if name in STEPS:
                return self._node(name, STEPS[name], arguments, span)
            if name in SUBMISSIONS:
                return self._submission(name, SUBMISSIONS[name], arguments, span)
            if name in HELPERS:
                self._fault(
                    "DF155", f"`df.{name}` is not a step", name_span, help="call it inside a SQL step"
                )
                return Faulty(span=span)
        self._fault(
            "DF156",
            f"there is no function `{'.'.join(parts)}` here",
            name_span,
            help=nearest(name, (*STEPS, *SUBMISSIONS), "df.")
            or "a workflow is built from `df.` functions, SQL in strings and constants",
        )
        return Faulty(span=span)

    def _json(self, name: str, arguments: Sequence[Argument], span: Span) -> Value:
        for argument in arguments:
            if isinstance(argument.value, Faulty):
                return Faulty(span=span)
            if argument.name is not None or argument.variadic:
                help = (
                    "write keys and values in turn" if name.endswith("object") else "write the values alone"
                )
                self._fault("DF160", f"`{name}` has no named arguments", argument.span, help=help)
                return Faulty(span=span)
        try:
            return constants.build_json(name, [argument.value for argument in arguments], span)
        except ConstantFault as fault:
            self._fault(fault.code, fault.message, fault.span, help=fault.help)
            return Faulty(span=span)

    def _node(self, name: str, signature: Signature, arguments: Sequence[Argument], span: Span) -> Value:
        function = f"df.{name}"
        bound = bind(function, signature, arguments, span, self._report)
        if bound is None:
            self._check_expressions(signature, arguments)
            return Faulty(span=span)
        values = self._checked(bound, signature)
        children = self._children(bound, signature)
        if values is None or children is None:
            return Faulty(span=span)
        node = self._made(name, values, children, span)
        if node is None:
            return Faulty(span=span)
        option = next((o.name for o in signature.options if bound.value(o.name) is not None), None)
        if option is not None and not isinstance(node, Later):
            node = Later(construct=f"{option} of {function}", children=(node,), span=span)
        return Tree(expression=node, span=span)

    def _check_expressions(self, signature: Signature, arguments: Sequence[Argument]) -> None:
        """Report what is wrong in the plain strings of a call that is wrong itself."""
        wanted = {parameter.name: parameter.want for parameter in signature.parameters}
        for index, argument in enumerate(arguments):
            positional = signature.parameters[index].want if index < len(signature.parameters) else None
            want = wanted.get(argument.name) if argument.name is not None else positional
            if want is Want.EXPRESSION and isinstance(argument.value, String):
                self._plain(argument.value)

    def _checked(self, bound: Bound, signature: Signature) -> dict[str, Value] | None:
        """The arguments that are no expressions, each of its type; those left out or NULL are missing."""
        values: dict[str, Value] = {}
        good = True
        for parameter in (*signature.parameters, *signature.options):
            argument = bound.by_name.get(parameter.name)
            if argument is None or parameter.want is Want.EXPRESSION:
                continue
            value = check_type(bound.function, parameter, argument.value, self._report)
            good = good and not isinstance(value, Faulty)
            if not isinstance(value, Null):
                values[parameter.name] = value
        return values if good else None

    def _children(self, bound: Bound, signature: Signature) -> tuple[Expression, ...] | None:
        """The arguments that are expressions, in order."""
        given: list[Value] = []
        if bound.listed is not None:
            given += bound.listed
        for parameter in signature.parameters:
            argument = bound.by_name.get(parameter.name)
            if (
                argument is not None
                and parameter.want is Want.EXPRESSION
                and self._counts(parameter, argument)
            ):
                given.append(argument.value)
        children = [self.expression(value) for value in given]
        found = tuple(child for child in children if child is not None)
        return found if len(found) == len(children) else None

    @staticmethod
    def _counts(parameter: Parameter, argument: Argument) -> bool:
        return parameter.required or not isinstance(argument.value, Null)

    def _made(
        self, name: str, values: dict[str, Value], children: tuple[Expression, ...], span: Span
    ) -> Expression | None:
        """The node that a call of a step function makes."""
        match name:
            case "sql":
                query = _text(values["query"])
                if MARKER in query.value:
                    help = "write the expression itself, without `df.sql`"
                    self._fault("DF115", "this statement has a piece of an expression in it", span, help=help)
                    return None
                return self._sql(query, span)
            case "step":
                return Step(name=_text(values["name"]), body=children[0], span=span)
            case "as":
                return Bind(name=_text(values["name"]), body=children[0], span=span)
            case "seq" if len(children) == 1:
                return children[0]
            case "seq":
                return Chain(items=tuple(item for child in children for item in _links(child)), span=span)
            case "join" | "join3":
                return Join(branches=children, span=span)
            case "parallel":
                return FanOut(branches=children, span=span)
            case "http":
                return self._http(values, span)
            case _:
                inner = tuple(child for child in children if not _is_lone_reference(child))
                return Later(construct=f"df.{name}", children=inner, span=span)

    def _http(self, values: dict[str, Value], span: Span) -> Expression | None:
        url = _text(values["url"])
        if _URL.match(url.value) is None:
            shown = url.value if len(url.value) <= 70 else url.value[:67] + "..."
            help = "begin it with `http://` or `https://`, or with a reference"
            self._fault("DF114", f"`{shown}` is not an http address", url.span, help=help)
            return None
        method = _text(values["method"]).value.upper() if "method" in values else "POST"
        if method not in HTTP_METHODS:
            help = f"use one of {', '.join(HTTP_METHODS)}"
            self._fault("DF114", f"`{method}` is not an HTTP method", values["method"].span, help=help)
            return None
        timeout = values.get("timeout_seconds")
        seconds = int(timeout.digits) if isinstance(timeout, Number) else 30
        if seconds <= 0:
            where = timeout.span if timeout else span
            self._fault("DF114", "`timeout_seconds` has to be positive", where, help="write 1 or more")
            return None
        headers = values.get("headers")
        written = headers.written if isinstance(headers, Document) and headers.value is not None else None
        if isinstance(headers, Document) and headers.value is not None and not _all_text(headers):
            help = """write them as '{"Accept": "text/csv"}'"""
            self._fault("DF114", "`headers` has to be an object of strings", headers.span, help=help)
            return None
        body = _text(values["body"]) if "body" in values else None
        return Http(url=url, method=method, body=body, headers=written, timeout_seconds=seconds, span=span)

    # Statements

    def _submission(
        self, name: str, signature: Signature, arguments: Sequence[Argument], span: Span
    ) -> Value:
        function = f"df.{name}"
        bound = bind(function, signature, arguments, span, self._report)
        if bound is None:
            self._check_expressions(signature, arguments)
            return Faulty(span=span)
        values = self._checked(bound, signature)
        body = self._submitted(name, bound, signature)
        if values is None or body is None:
            return Faulty(span=span)
        if name != "start":
            return Submission(function=name, body=body, label=None, span=span)
        mode = values.get("transaction_mode")
        if isinstance(mode, String) and mode.text.value.lower() not in _TRANSACTION_MODES:
            help = "write 'caller', or leave it out"
            self._fault("DF159", "`transaction_mode` is 'caller' or 'new'", mode.span, help=help)
            return Faulty(span=span)
        other = next((n for n, v in values.items() if n != "label" and not _is_default(n, v)), None)
        if other is not None:
            body = Later(construct=f"{other} of df.start", children=(body,), span=span)
        label = values.get("label")
        written = label.text.value if isinstance(label, String) else None
        return Submission(function=name, body=body, label=written, span=span)

    def _submitted(self, name: str, bound: Bound, signature: Signature) -> Expression | None:
        """The workflow that a statement submits; of one that this version cannot submit, a Later."""
        fut = bound.value("fut")
        if name == "start" and isinstance(fut, Document):
            self.has_plan = True
            return None
        if name == "start" and isinstance(fut, String) and is_identifier(fut.text.value):
            return Later(construct="df.start of a defined workflow", children=(), span=fut.span)
        workflow = bound.value("workflow") if name == "schedule" else None
        if isinstance(workflow, String) and is_identifier(workflow.text.value):
            return Later(construct="df.schedule", children=(), span=bound.span)
        children = self._children(bound, signature)
        if children is None:
            return None
        if name == "start":
            return children[0]
        return Later(construct=f"df.{name}", children=children, span=bound.span)


def _text(value: Value) -> Text:
    assert isinstance(value, String)
    return value.text


def _links(expression: Expression) -> tuple[Expression, ...]:
    return expression.items if isinstance(expression, Chain) else (expression,)


def _is_lone_reference(expression: Expression) -> bool:
    return isinstance(expression, Later) and expression.construct.endswith(LONE_REFERENCE)


def _all_text(headers: Document) -> bool:
    value = headers.value
    return isinstance(value, JsonObject) and all(isinstance(item, str) for _, item in value.pairs)


def _is_default(name: str, value: Value) -> bool:
    written = (
        value.text.value if isinstance(value, String) else value.digits if isinstance(value, Number) else None
    )
    return written is not None and written.lower() == _START_DEFAULTS.get(name)
