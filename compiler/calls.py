"""Calls: which argument belongs to which parameter, and whether it is of the type that it has to be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from dfc.compiler.constants import (
    INT4_MAX,
    ConstantFault,
    array_of,
    document,
    integer_of,
    number_of,
    truth_of,
)
from dfc.compiler.diagnostics import Diagnostic, Fix, Note, error, replacing
from dfc.compiler.names import name_fault
from dfc.compiler.nearness import Near, near
from dfc.compiler.signatures import OF_REQUESTS, POLICY_NAMES, Parameter, Signature, Want
from dfc.compiler.span import Span
from dfc.compiler.values import (
    Argument,
    Array,
    Document,
    Faulty,
    Null,
    Number,
    String,
    Submission,
    Tree,
    Truth,
    Typed,
    Value,
    described,
)

Report = Callable[[Diagnostic], None]

_EXAMPLES = {
    Want.EXPRESSION: "a step: SQL in quotes, or a `df.` function",
    Want.TEXT: "a string in quotes",
    Want.NAME: "a name in quotes, for example `'load'`",
    Want.INTEGER: "a whole number, at most 2147483647",
    Want.NUMBER: "a number, for example `0.5`",
    Want.BOOLEAN: "`true` or `false`",
    Want.DURATION: "a number of seconds, or a text like `'1 hour 30 min'`",
    Want.JSON: """an object in quotes, for example `'{"a": 1}'`""",
    Want.LIST: "an array of strings, for example `ARRAY['a', 'b']`",
    Want.BRANCHES: "an array of steps, for example `ARRAY['SELECT 1', 'SELECT 2']`",
    Want.MOMENT: "a time in quotes, for example `'2030-01-31 12:00+00'`",
    Want.ANY: "a constant",
}
"""What to write for each kind of argument, behind `write `."""


@dataclass(slots=True, kw_only=True)
class Bound:
    """The arguments of a call by parameter name, in the order of the signature; `listed` when variadic.

    Not `complete`: something about them is wrong and has been reported; `strays` have no place then.
    `guessed`: nobody can say whether the positional ones stand in their places.
    """

    function: str
    span: Span
    by_name: dict[str, Argument] = field(default_factory=dict[str, Argument])
    listed: tuple[Value, ...] | None = None
    strays: list[Value] = field(default_factory=list[Value])
    complete: bool = True
    guessed: bool = False

    def value(self, name: str) -> Value | None:
        """The argument, None when it was left out or is NULL."""
        found = self.by_name.get(name)
        return None if found is None or isinstance(found.value, Null) else found.value


_SYNONYMS: Final = {
    "retries": "max_attempts",
    "max_retries": "max_attempts",
    "attempts": "max_attempts",
    "delay": "backoff",
    "retry_delay": "backoff",
    "pause": "backoff",
    "concurrency": "max_parallel",
    "workers": "max_parallel",
    "chunk_size": "batch_size",
    "timeout_ms": "timeout",
    "isolation_level": "isolation",
}
"""What others call arguments of ours."""


def nearest(word: str, known: Sequence[str], prefix: str = "") -> str:
    """A help line that names the known word that a misspelt one is like; empty when there is none."""
    close = closest(word, known)
    return f"did you mean `{prefix}{close}`?" if close else ""


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that a misspelt one is like; empty when there is none."""
    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return close[0] if close else ""


def bind(function: str, signature: Signature, given: Sequence[Argument], span: Span, report: Report) -> Bound:
    """Give each argument its parameter; where that is not possible, report it and guess."""
    bound = Bound(function=function, span=span)
    named = {p.name: p for p in signature.every}
    positional: list[Argument] = []
    misnamed: list[Argument] = []
    for argument in given:
        if argument.name is None:
            bound.complete = _positional(bound, argument, positional, report) and bound.complete
        elif argument.name not in named:
            bound.complete = False
            misnamed.append(argument)
            report(
                error(
                    "DF160",
                    f"`{function}` has no argument `{argument.name}`",
                    argument.span,
                    help=_misplaced_policy(argument.name, signature)
                    or _synonym(argument.name, named)
                    or nearest(argument.name, tuple(named))
                    or _arguments(function, signature),
                    fix=_renamed(argument, named, given),
                )
            )
        elif argument.name in bound.by_name:
            bound.complete = False
            bound.strays.append(argument.value)
            report(_twice(function, argument, bound.by_name[argument.name].span))
        else:
            bound.by_name[argument.name] = argument
    if bound.complete and not _place(bound, signature, positional, report):
        bound.complete, bound.guessed = False, True
    if not bound.complete:
        _guess(bound, signature, positional, misnamed)
    return bound


def quoted(where: Span, old: str, meant: Near | None) -> Fix | None:
    """The fix that writes another text in the place of one in quotes; None where it is not sure which."""
    return replacing(where, f"'{old}'", f"'{meant.word}'") if meant is not None and meant.sure else None


def _renamed(argument: Argument, named: Mapping[str, Parameter], given: Sequence[Argument]) -> Fix | None:
    """The fix that gives an argument the name that it nearly has, if that is still free."""
    written = argument.name or ""
    meant = near(written.lower(), named)
    if meant is None or not meant.sure or written in POLICY_NAMES or written.lower() in _SYNONYMS:
        return None
    if any(other.name == meant.word for other in given):
        return None
    start = argument.span.start
    return replacing(Span(start, start + len(written)), written, meant.word)


def _synonym(name: str, named: Mapping[str, Parameter]) -> str:
    meant = _SYNONYMS.get(name.lower(), "")
    return f"did you mean `{meant}`?" if meant in named else ""


def _misplaced_policy(name: str, signature: Signature) -> str:
    """What to do with a policy that a function does not take; empty for a name that is no policy."""
    if name not in POLICY_NAMES:
        return ""
    if signature.options and signature.options[0].name in POLICY_NAMES:
        return f"leave it out: `{name}` is a policy of {'requests' if name in OF_REQUESTS else 'statements'}"
    return "give it to the steps inside"


def _guess(
    bound: Bound, signature: Signature, positional: Sequence[Argument], misnamed: Sequence[Argument]
) -> None:
    """Find a likely place for the arguments of a faulty call, so that what is wrong in them is reported."""
    options = {p.name for p in signature.every}
    for argument in misnamed:
        place = closest(argument.name or "", options - bound.by_name.keys())
        if place:
            bound.by_name[place] = argument
        else:
            bound.strays.append(argument.value)
    if signature.variadic:
        placed = {id(argument) for name, argument in bound.by_name.items() if name != "branches"}
        given = [argument for argument in positional if id(argument) not in placed]
        if signature.array and _gives_array(bound, positional):
            branches = bound.by_name.get("branches")
            bound.strays += [a.value for a in given if not isinstance(a.value, Array)]
            given = [a for a in given if isinstance(a.value, Array)]
            given += [branches] if branches is not None and branches not in given else []
        bound.listed = _listed(given)
        return
    for index, argument in enumerate(positional):
        if any(argument is placed for placed in bound.by_name.values()):
            continue
        free = [p.name for p in signature.parameters if p.name not in bound.by_name]
        if not free:
            bound.strays += [rest.value for rest in positional[index:]]
            return
        own = signature.parameters[index].name if index < len(signature.parameters) else ""
        bound.by_name[own if own in free else free[0]] = argument


def _positional(bound: Bound, argument: Argument, positional: list[Argument], report: Report) -> bool:
    positional.append(argument)
    if not bound.by_name:
        return True
    report(
        error(
            "DF161",
            "a positional argument cannot follow a named one",
            argument.span,
            help="write its name in front of it, with `=>`",
        )
    )
    return False


def _twice(function: str, argument: Argument, first: Span) -> Diagnostic:
    return error(
        "DF161",
        f"`{function}` gets `{argument.name}` twice",
        argument.span,
        notes=(Note(message="the first one", span=first),),
        help="remove one of the two",
    )


def _place(bound: Bound, signature: Signature, positional: list[Argument], report: Report) -> bool:
    """Place the positional arguments, and say what is missing or too much."""
    function = bound.function
    if signature.array and _gives_array(bound, positional):
        return _place_array(bound, signature, positional, report)
    for argument in positional:
        if argument.variadic and not (signature.variadic and len(positional) == 1):
            message = f"`{function}` takes no VARIADIC argument there"
            report(error("DF163", message, argument.span, help=_arguments(function, signature)))
            return False
        if isinstance(argument.value, Faulty) or not signature.variadic:
            continue
        if isinstance(argument.value, Array) != argument.variadic:
            message = f"`{function}` takes one array of all branches, or single ones"
            report(error("DF163", message, argument.span, help=f"write `{function}(ARRAY[...])`"))
            return False
    for option in signature.array:
        if option.name in bound.by_name:
            message = f"`{option.name}` needs all branches in one array"
            help = f"write `{function}(ARRAY[...], {option.name} => ...)`"
            report(error("DF161", message, bound.by_name[option.name].span, help=help))
            return False
    if signature.variadic and not any(p.name in bound.by_name for p in signature.parameters):
        listed = _listed(positional)
        if len(listed) >= signature.least:
            bound.listed = listed
            return True
    for parameter, argument in zip(signature.parameters, positional, strict=False):
        if parameter.name in bound.by_name:
            report(_twice(function, bound.by_name[parameter.name], argument.span))
            return False
        bound.by_name[parameter.name] = argument
    for argument in positional[len(signature.parameters) :]:
        report(
            error(
                "DF163",
                f"`{function}` has too many arguments",
                argument.span,
                label="one too many",
                help=_arguments(function, signature),
            )
        )
        return False
    missing = [p.name for p in signature.parameters if p.required and p.name not in bound.by_name]
    if missing:
        report(
            error(
                "DF162",
                f"`{function}` needs the argument `{missing[0]}`",
                bound.span,
                help=_arguments(function, signature),
            )
        )
    return not missing


def _gives_array(bound: Bound, positional: Sequence[Argument]) -> bool:
    """Whether a call gives all branches as one array, without VARIADIC."""
    first = positional[0] if positional else None
    return "branches" in bound.by_name or (
        first is not None and isinstance(first.value, Array) and not first.variadic
    )


def _place_array(bound: Bound, signature: Signature, positional: list[Argument], report: Report) -> bool:
    """Place the arguments of a call with one array of branches."""
    function = bound.function
    names = [p.name for p in signature.array]
    strays = [a for name, a in bound.by_name.items() if name not in names]
    strays += [a for a in positional if a.variadic] + positional[len(names) :]
    if strays:
        message = f"`{function}` takes one array of all branches, or single ones"
        report(error("DF163", message, strays[0].span, help=f"write `{function}(ARRAY[...])`"))
        return False
    for name, argument in zip(names, positional, strict=False):
        if name in bound.by_name:
            report(_twice(function, bound.by_name[name], argument.span))
            return False
        bound.by_name[name] = argument
    branches = check_type(function, signature.array[0], bound.by_name["branches"].value, report)
    if not isinstance(branches, Array):
        return False
    if len(branches.items) < signature.least:
        help = f"write `{function}(ARRAY['SELECT 1', 'SELECT 2'])`"
        report(error("DF162", f"`{function}` needs at least one branch", branches.span, help=help))
        return False
    bound.listed = branches.items
    return True


def _listed(positional: Sequence[Argument]) -> tuple[Value, ...]:
    """The arguments of a variadic call, arrays taken apart."""
    return tuple(
        item
        for argument in positional
        for item in (argument.value.items if isinstance(argument.value, Array) else (argument.value,))
    )


def _arguments(function: str, signature: Signature) -> str:
    written = [p.name if p.required else f"[{p.name}]" for p in signature.parameters]
    if signature.variadic:
        written.append("...")
    return f"write `{function}({', '.join(written)})`"


def check_type(function: str, parameter: Parameter, value: Value, report: Report) -> Value:
    """The argument as what its parameter wants (not for expressions); Faulty when it cannot be that."""
    if isinstance(value, Faulty):
        return value
    if isinstance(value, Null):
        if not parameter.required:
            return value
        message = f"`{parameter.name}` of `{function}` cannot be NULL"
        report(error("DF116", message, value.span, help=f"write {_EXAMPLES[parameter.want]}"))
        return Faulty(span=value.span)
    try:
        fitting = _fitting(parameter, value)
    except ConstantFault as fault:
        report(error(fault.code, fault.message, fault.span, help=fault.help))
        return Faulty(span=value.span)
    if fitting is None:
        what = f"`{parameter.name}` of `{function}` has to be {parameter.want.value}, not {described(value)}"
        report(error("DF159", what, value.span, help=f"write {_EXAMPLES[parameter.want]}"))
        return Faulty(span=value.span)
    return fitting


def _fitting(parameter: Parameter, value: Value) -> Value | None:
    if isinstance(value, Tree | Submission) and parameter.want is not Want.ANY:
        return None
    untyped = value.text.value if isinstance(value, String) and not value.typed else None
    match parameter.want:
        case Want.TEXT:
            return value if isinstance(value, String) else None
        case Want.NAME:
            return _name(parameter, value)
        case Want.INTEGER:
            digits = (
                value.digits if isinstance(value, Number) else None if untyped is None else number_of(untyped)
            )
            whole = None if digits is None else integer_of(digits)
            fits = whole is not None and -INT4_MAX - 1 <= whole <= INT4_MAX
            return Number(digits=str(whole), span=value.span) if fits else None
        case Want.BOOLEAN:
            truth = (
                value.value if isinstance(value, Truth) else None if untyped is None else truth_of(untyped)
            )
            return None if truth is None else Truth(value=truth, span=value.span)
        case Want.JSON:
            if untyped is not None:
                return document(untyped, True, value.span)
            return document(value.written, True, value.span) if isinstance(value, Document) else None
        case Want.DURATION if isinstance(value, Typed):
            return value if value.type == "interval" else None
        case Want.NUMBER | Want.DURATION | Want.MOMENT:
            return value if isinstance(value, Number | String | Typed) else None
        case Want.LIST:
            return _texts(value if untyped is None else array_of(untyped, value.span))
        case Want.BRANCHES:
            branches = value if untyped is None else array_of(untyped, value.span)
            return branches if isinstance(branches, Array) else None
        case Want.ANY | Want.EXPRESSION:
            return value


def _texts(value: Value) -> Value | None:
    """An array that holds nothing but texts; one of nothing at all has to say what it is an array of."""
    if not isinstance(value, Array):
        return None
    if not value.items and not value.typed:
        raise ConstantFault(
            "DF159", "an empty array needs a type", value.span, "write `ARRAY[]::text[]`, or leave it out"
        )
    if all(isinstance(item, String) for item in value.items):
        return value
    strange = [item for item in value.items if not isinstance(item, String)]
    if isinstance(strange[0], Faulty):
        return Faulty(span=value.span)
    message = f"{described(strange[0])} stands in an array of texts"
    raise ConstantFault("DF159", message, strange[0].span, "write each element in quotes")


def _name(parameter: Parameter, value: Value) -> Value | None:
    if not isinstance(value, String):
        return None
    allowed = bool(parameter.reserved) and value.text.value == parameter.reserved
    fault = "" if allowed else name_fault(value.text.value)
    if fault:
        shown = value.text.value if len(value.text.value) <= 70 else value.text.value[:67] + "..."
        raise ConstantFault("DF113", f"the name `{shown}` {fault}", value.span, "choose another name")
    return value
