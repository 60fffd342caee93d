"""How a call is laid out that does not fit on one line.

What runs other workflows has each of them on a line of its own, and constants together. A call whose only
workflow is one long string or call keeps its brackets at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dfc.compiler.layout.document import WIDTH, Document, Either, Indent, Newline, Space, joined
from dfc.compiler.layout.pieces import NOTHING, Laid, closing, document, glued
from dfc.compiler.layout.stream import Token
from dfc.compiler.signatures import STEPS, SUBMISSIONS, Want

_HEAD_MAX = 70
_BEHIND_CALL_MAX = 50
_LONG = 80
"""What is longer hardly fits on a line of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument with the comma behind it. `expression`: it is a workflow, so it gets a line of its own."""

    laid: Laid
    comma: Laid = NOTHING
    expression: bool = False

    @property
    def whole(self) -> Laid:
        """Argument and comma."""
        return glued([self.laid, self.comma], "")


def expressions_of(function: str, arguments: Iterable[Argument]) -> tuple[Argument, ...]:
    """The arguments of a function of schema df, with those marked that are workflows."""
    signature = STEPS.get(function) or SUBMISSIONS.get(function)
    if signature is None:
        return tuple(arguments)
    found: list[Argument] = []
    wants = {parameter.name: parameter.want for parameter in signature.every}
    for index, argument in enumerate(arguments):
        name = argument.laid.name.strip('"').lower()
        if name:
            want = wants.get(name)
        elif signature.variadic:
            want = Want.EXPRESSION
        else:
            want = signature.parameters[index].want if index < len(signature.parameters) else None
        runs = want in (Want.EXPRESSION, Want.BRANCHES) or (function == "sql" and index == 0)
        found.append(replace(argument, expression=runs))
    return tuple(found)


def laid_call(function: str, head: Laid, arguments: Sequence[Argument], token: Token, end: Laid) -> Laid:
    """A call, `head` being its name with the opening bracket."""
    inside = glued([argument.whole for argument in arguments], " ") if arguments else NOTHING
    flat = glued([head, inside, end], "").flat
    part = _hugged(function, head, arguments, end) or _block(function, head, arguments, token, end)
    return Laid(flat=flat, part=part, kind="call", blank=head.blank, led=head.led)


def _hugged(function: str, head: Laid, arguments: Sequence[Argument], end: Laid) -> Document | None:
    """The brackets at the one workflow that makes the call long; None where there is no such."""
    big = [index for index, argument in enumerate(arguments) if argument.expression]
    if len(big) != 1 or function in SUBMISSIONS:
        return None
    at = big[0]
    inner = arguments[at].laid
    before = joined([head.text, *(argument.whole.flat for argument in arguments[:at])], " ")
    behind = glued([arguments[at].comma, *(argument.whole for argument in arguments[at + 1 :])], " ").flat
    if before is None or behind is None or len(before) > _HEAD_MAX or inner.led:
        return None
    last = at + 1 == len(arguments)
    if inner.kind == "string":
        fits = inner.flat is None and inner.last is not None and inner.last + len(behind) < WIDTH
    else:
        long = inner.flat is None or last or len(inner.flat) > _LONG
        fits = inner.kind == "call" and long and len(behind) <= _BEHIND_CALL_MAX
    if not fits:
        return None
    pieces: list[Document] = [document(head)]
    for index, argument in enumerate(arguments):
        pieces += [Space()] if index else []
        pieces += [inner.part if index == at else document(argument.laid), document(argument.comma)]
    return (*pieces, document(end))


def _block(function: str, head: Laid, arguments: Sequence[Argument], token: Token, end: Laid) -> Document:
    """Arguments on lines of their own; constants in front of the first workflow stay beside the name."""
    beside = _beside(function, head, arguments)
    first: list[Document] = [document(head)]
    for index, argument in enumerate(arguments[:beside]):
        first += [Space()] if index else []
        first.append(document(argument.whole))
    lines: list[Document] = []
    filling = False
    for argument in arguments[beside:]:
        whole = argument.whole
        fresh = (Newline(argument.laid.blank), document(whole))
        if filling and not argument.expression and whole.flat is not None:
            lines.append(Either(f" {whole.flat}", fresh))
        else:
            lines.append(fresh)
        filling = not argument.expression
    comments, last = closing(token, end)
    if not arguments:
        return (*first, Indent(comments), last)
    return (*first, Indent((*lines, *comments)), Newline(), last)


def _beside(function: str, head: Laid, arguments: Sequence[Argument]) -> int:
    """How many arguments stay on the line of the name."""
    if not any(argument.expression for argument in arguments):
        return 0
    count = next(index for index, argument in enumerate(arguments) if argument.expression)
    if function == "if" and arguments[0].laid.kind == "string" and not arguments[0].laid.name:
        count = 1
    if count == len(arguments):
        return 0
    flat = joined([head.text, *(argument.whole.flat for argument in arguments[:count])], " ")
    return count if flat is not None and len(flat) <= _HEAD_MAX else 0
