"""What a call means: the nodes that the functions of schema df make, checked argument by argument."""

from __future__ import annotations

from collections.abc import Sequence

from dfc.compiler import constants
from dfc.compiler.ast import (
    Bind,
    Chain,
    Expression,
    Hole,
    Step,
    Text,
    links,
    placeholder,
)
from dfc.compiler.calls import Bound, Report, bind, check_type, closest, nearest
from dfc.compiler.constants import ConstantFault
from dfc.compiler.diagnostics import Diagnostic, Fix, error, replacing
from dfc.compiler.names import is_identifier, name_fault
from dfc.compiler.nearness import near
from dfc.compiler.nodes import GROUPS, WAITS, Call, Nodes
from dfc.compiler.signatures import (
    HELPERS,
    JSON_BUILDERS,
    STEPS,
    SUBMISSIONS,
    VARIABLES,
    Signature,
    Want,
)
from dfc.compiler.span import Span
from dfc.compiler.submissions import options_text, params_of
from dfc.compiler.values import (
    Argument,
    Document,
    Faulty,
    Null,
    String,
    Submission,
    Tree,
    Value,
    described,
    expressions,
    faulty,
)
from dfc.compiler.wire import MARKER, WireError, decode

_WORKFLOW = {"start": "fut", "define": "body", "schedule": "workflow"}
"""The argument that is the workflow."""
_NAMES_OF_A_CALL_MAX = 2


class Functions:
    """Turns calls and constants into nodes; problems go to `report`.

    `has_plan`: a df.start with a compiled plan has been seen, which is for the server alone.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._nodes = Nodes(report)
        self.has_plan = False

    def _fault(self, code: str, message: str, span: Span, *, help: str = "", fix: Fix | None = None) -> None:
        self._report(error(code, message, span, help=help, fix=fix))

    def expression(self, value: Value) -> Expression:
        """The value where an expression has to stand; what cannot be one is reported, and a hole."""
        match value:
            case Tree():
                return value.expression
            case Faulty(rest=rest):
                return Hole(span=value.span) if rest is None else rest
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
        return placeholder(expressions((value,)), value.span)

    def _plain(self, value: String) -> Expression:
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
            return Hole(span=value.span)
        return self._nodes.statement(value.text, value.span)

    def _wired(self, value: String) -> Expression:
        try:
            return decode(value.text.value)
        except WireError as fault:
            self._fault(
                "DF115",
                f"this text has a piece of an expression in it: {fault}",
                value.span,
                help="write the expression itself, without quotes",
            )
            return Hole(span=value.span)

    def name(self, value: String) -> Text:
        """The name that a string gives to a binding, also when it is none, which is reported."""
        fault = name_fault(value.text.value)
        if fault:
            message = f"the name `{value.text.value}` {fault}"
            self._fault("DF113", message, value.span, help="choose another name")
        return value.text

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
                return Tree(expression=self._node(name, arguments, span), span=span)
            if name in SUBMISSIONS:
                return self._submission(name, SUBMISSIONS[name], arguments, span)
            if name in HELPERS:
                alone = f"write `SELECT df.{name}(...)` as a statement of its own"
                help = alone if name in VARIABLES else "call it inside a SQL step"
                self._fault("DF155", f"`df.{name}` is not a step", name_span, help=help)
                return faulty([argument.value for argument in arguments], span)
        self._fault(
            "DF156",
            f"there is no function `{'.'.join(parts)}` here",
            name_span,
            help=nearest(name, (*STEPS, *SUBMISSIONS), "df.")
            or "a workflow is built from `df.` functions, SQL in strings and constants",
            fix=_renamed(parts, name_span),
        )
        return Faulty(rest=self._unknown(parts, arguments, span), span=span)

    def _unknown(self, parts: tuple[str, ...], arguments: Sequence[Argument], span: Span) -> Expression:
        """What can be checked of a call of no function: as the function that was meant, if that is known."""
        meant = closest(parts[-1], (*STEPS, *SUBMISSIONS)) if parts[:-1] == ("df",) else ""
        if meant in STEPS and _fits(meant, arguments, span):
            return self._node(meant, arguments, span, meant=True)
        values = [argument.value for argument in arguments]
        texts = [value.text for value in values if isinstance(value, String)]
        names = [text for text in texts if not name_fault(text.value)][:_NAMES_OF_A_CALL_MAX]
        rest = placeholder(expressions(values), span)
        binds = [Bind(name=name, body=Hole(span=span), span=span) for name in names]
        return Chain(items=(*binds, *links(rest)), span=span) if binds else rest

    def _json(self, name: str, arguments: Sequence[Argument], span: Span) -> Value:
        values = [argument.value for argument in arguments]
        if any(isinstance(value, Faulty) for value in values):
            return faulty(values, span)
        for argument in arguments:
            if argument.name is not None or argument.variadic:
                help = (
                    "write keys and values in turn" if name.endswith("object") else "write the values alone"
                )
                self._fault("DF160", f"`{name}` has no named arguments", argument.span, help=help)
                return faulty(values, span)
        try:
            return constants.build_json(name, values, span)
        except ConstantFault as fault:
            self._fault(fault.code, fault.message, fault.span, help=fault.help)
            return faulty(values, span)

    def _node(
        self, name: str, arguments: Sequence[Argument], span: Span, *, meant: bool = False
    ) -> Expression:
        """The node that a call makes. `meant`: the call says another name, which has been reported."""
        signature = STEPS[name]
        bound = bind(f"df.{name}", signature, arguments, span, _unheard if meant else self._report)
        known = len(bound.strays)
        values = self._checked(bound, signature, meant)
        parts, listed = self._parts(bound, signature, meant), self._listed(bound, meant)
        spans = {parameter: argument.span for parameter, argument in bound.by_name.items()}
        call = Call(name=name, span=span, values=values, spans=spans, parts=parts, listed=listed)
        needed = [p.name for p in signature.parameters if p.required and p.want is not Want.EXPRESSION]
        if bound.listed is not None:
            needed = []
        sound = not meant and bound.complete and all(parameter in values for parameter in needed)
        if not sound:
            return self._patched(call, bound, meant)
        node = self._nodes.make(call)
        if len(bound.strays) > known:
            return placeholder((node, *expressions(bound.strays)), span)
        return node

    def _patched(self, call: Call, bound: Bound, meant: bool) -> Expression:
        """The node of a faulty call. The name of a step counts as far as it is legible."""
        strays = expressions(bound.strays)
        children = (*call.children, *strays)
        if call.name in ("step", "as"):
            given = bound.by_name.get("name")
            text = given.value.text if given is not None and isinstance(given.value, String) else None
            if text is None or (bound.guessed and name_fault(text.value)):
                text = Text(value="", span=call.span)
            body = placeholder(children, call.span)
            if call.name == "step":
                return Step(name=text, body=body, span=call.span)
            return Bind(name=text, body=body, span=call.span)
        if (
            call.name in GROUPS
            or call.name in WAITS
            or not call.parts
            or (call.name == "if_rows" and "result_name" not in call.values)
        ):
            return placeholder(children, call.span)
        quiet = Nodes(_unheard if meant else self._report)
        return placeholder((quiet.make(call), *strays), call.span)

    def _checked(self, bound: Bound, signature: Signature, meant: bool = False) -> dict[str, Value]:
        """The arguments that are no expressions, each of its type, without those left out, NULL or wrong."""
        values: dict[str, Value] = {}
        for parameter in signature.every:
            argument = bound.by_name.get(parameter.name)
            if argument is None or parameter.want in (Want.EXPRESSION, Want.BRANCHES):
                continue
            sure = argument.name == parameter.name or (argument.name is None and not bound.guessed)
            report = self._report if sure and (bound.complete or not meant) else _unheard
            value = check_type(bound.function, parameter, argument.value, report)
            if isinstance(value, Faulty):
                bound.strays.append(argument.value)
            elif not isinstance(value, Null):
                values[parameter.name] = value
        return values

    def _parts(self, bound: Bound, signature: Signature, meant: bool = False) -> dict[str, Expression]:
        """The arguments that are expressions, by name. Of a faulty call, what is no step is left out."""
        parts: dict[str, Expression] = {}
        for parameter in signature.parameters:
            argument = bound.by_name.get(parameter.name)
            if argument is None or parameter.want is not Want.EXPRESSION:
                continue
            if parameter.required or not isinstance(argument.value, Null):
                found = self._expressions(argument.value, bound, meant)
                if len(found) == 1:
                    parts[parameter.name] = found[0]
                elif found:
                    parts[parameter.name] = Hole(children=found, span=argument.value.span)
        return parts

    def _listed(self, bound: Bound, meant: bool) -> tuple[Expression, ...]:
        """The branches of a variadic function."""
        return tuple([e for value in bound.listed or () for e in self._expressions(value, bound, meant)])

    def _expressions(self, value: Value, bound: Bound, meant: bool) -> tuple[Expression, ...]:
        """An argument as the expression that it is; of a faulty call, those that are in it."""
        if bound.complete and not meant:
            return (self.expression(value),)
        if isinstance(value, String) and (bound.complete or not meant):
            return (self._plain(value),)
        return expressions((value,))

    # Statements

    def _submission(
        self, name: str, signature: Signature, arguments: Sequence[Argument], span: Span
    ) -> Submission:
        bound = bind(f"df.{name}", signature, arguments, span, self._report)
        values = self._checked(bound, signature)
        spans = {parameter: argument.span for parameter, argument in bound.by_name.items()}
        parts = self._workflows(name, bound, signature)
        body = parts.pop(_WORKFLOW.get(name, ""), None)
        strays = expressions(bound.strays)
        if strays:
            body = placeholder((body or Hole(span=span), *strays), span)
        label = values.pop("label" if name == "start" else "name", None)
        return Submission(
            function=name,
            body=body,
            label=label.text.value if isinstance(label, String) else None,
            options=options_text(name, values, spans, self._report),
            params=params_of(values, self._report),
            on_failure=parts.get("on_failure"),
            workflow=self._defined(bound.value(_WORKFLOW.get(name, ""))) if body is None else None,
            span=span,
        )

    @staticmethod
    def _defined(value: Value | None) -> str | None:
        """The name of a definition."""
        return value.text.value if isinstance(value, String) else None

    def _workflows(self, name: str, bound: Bound, signature: Signature) -> dict[str, Expression]:
        """The arguments of a statement that are workflows; one that is the name of a definition is none."""
        parameter = _WORKFLOW.get(name, "")
        given = bound.value(parameter)
        if name == "start" and isinstance(given, Document):
            self.has_plan = self.has_plan or bound.complete
            return {}
        if name in ("start", "schedule") and isinstance(given, String) and is_identifier(given.text.value):
            return {}
        parts = self._parts(bound, signature)
        if parameter:
            parts.setdefault(parameter, Hole(span=bound.span))
        return parts


def _unheard(problem: Diagnostic) -> None:
    """What is wrong with a call that only may have been meant is nobody's concern."""


def _fits(name: str, arguments: Sequence[Argument], span: Span) -> bool:
    """Whether the arguments are those of the function `name`, but for what is wrong inside of them."""
    signature = STEPS[name]
    bound = bind(name, signature, arguments, span, _unheard)
    values = [(p, a.value) for p in signature.parameters if (a := bound.by_name.get(p.name)) is not None]
    return bound.complete and all(
        isinstance(value, String | Tree | Faulty)
        if parameter.want is Want.EXPRESSION
        else isinstance(value, String)
        if parameter.want is Want.NAME
        else not isinstance(check_type(name, parameter, value, _unheard), Faulty)
        for parameter, value in values
    )


def _renamed(parts: tuple[str, ...], span: Span) -> Fix | None:
    """The fix that writes the function that was meant; None where that is not sure."""
    meant = near(parts[-1], (*STEPS, *SUBMISSIONS)) if parts[:-1] == ("df",) else None
    if meant is None or not meant.sure:
        return None
    return replacing(span, f"df.{parts[-1]}", f"df.{meant.word}")
