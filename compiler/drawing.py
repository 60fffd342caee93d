"""An expression as a drawing for people, in the layout of pg_durable's df.explain.

One line a node; a chain as lines that begin with an arrow, parts below a line of their own. df.explain draws
the same in SQL (sql/functions/drawing.sql, draw.sql), character by character; described in
docs/reference/looking.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from dfc.compiler.ast import (
    Atomic,
    Bind,
    Break,
    CallWorkflow,
    Chain,
    Compensate,
    Constant,
    Expression,
    FanOut,
    Hole,
    Http,
    If,
    IfRows,
    Join,
    Loop,
    Map,
    Policies,
    PolicyValue,
    Race,
    Ref,
    Retry,
    Sleep,
    Sql,
    Step,
    Structured,
    Timeout,
    Try,
    WaitFor,
    Waiting,
    WaitInstance,
    WaitSchedule,
    WaitSignal,
    WaitUntil,
)
from dfc.compiler.outline import arms_of
from dfc.compiler.plan import Duration

SQL_CHARACTERS = 50
TEXT_CHARACTERS = 40
VALUE_CHARACTERS = 20
_READ_CHARACTERS = 1000
"""Of a longer text no more is looked at."""
_PADDING = 4

_BREAKS = re.compile(r"[ \t\n\v\f\r]*[\t\n\v\f\r][ \t\n\v\f\r]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """The condition of `df.if_rows`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A node to draw: what stands in front of its line and above it, and the names and policies around it.

    `given` are the names, the outermost first, each with whether it is that of a step.
    """

    node: Expression | _Rows
    indent: int
    lead: str
    label: str | None = None
    given: tuple[tuple[str, bool], ...] = ()
    policies: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether a step has given it a name."""
        return any(is_step for _, is_step in self.given)


def drawing(tree: Expression) -> tuple[str, ...]:
    """The lines of the drawing."""
    lines: list[str] = []
    todo = [_Spot(node=tree, indent=0, lead="")]
    while todo:
        spot = todo.pop()
        node = spot.node
        if isinstance(node, Step | Bind):
            todo.append(_inside(spot, node))
        elif isinstance(node, Chain) and not spot.named:
            todo += reversed(_links(spot, node))
        else:
            if spot.label is not None:
                lines.append(" " * (spot.indent - 2) + spot.label)
            lines.append(" " * spot.indent + spot.lead + _line(spot, node))
            todo += reversed(_parts(spot, node))
    return tuple(lines)


def padded(lines: Sequence[str]) -> str:
    """Lines as one text, each filled up with blanks to the longest and four more, as df.explain gives it."""
    width = max(map(len, lines)) + _PADDING
    return "\n".join([line.ljust(width) for line in lines])


def _inside(spot: _Spot, naming: Step | Bind) -> _Spot:
    is_step = isinstance(naming, Step)
    said = _policies(naming.policies) if isinstance(naming, Step) else ()
    return _Spot(
        node=naming.body,
        indent=spot.indent,
        lead=spot.lead,
        label=spot.label,
        given=(*spot.given, (naming.name.value, is_step)),
        policies=(*spot.policies, *said),
    )


def _links(spot: _Spot, chain: Chain) -> list[_Spot]:
    """The elements of a chain that has no line of its own."""
    first, *rest = chain.items
    return [
        _Spot(node=first, indent=spot.indent, lead=spot.lead, label=spot.label),
        *[_Spot(node=item, indent=spot.indent, lead="→ ") for item in rest],
    ]


def _parts(spot: _Spot, node: Expression | _Rows) -> list[_Spot]:
    """The parts of a node, each under a line that says what it is."""
    parts = _labelled(node)
    is_group = isinstance(node, Join | FanOut | Race)
    return [
        _Spot(
            node=part,
            indent=spot.indent + 6,
            lead="├─" if is_group and index < len(parts) else "└─",
            label=label,
        )
        for index, (label, part) in enumerate(parts, start=1)
    ]


def _labelled(node: Expression | _Rows) -> list[tuple[str, Expression | _Rows]]:
    match node:
        case Join(branches=branches) | FanOut(branches=branches):
            return _branches(branches)
        case Race():
            return _branches(arms_of(node))
        case Chain():
            return [("▸ body:", node)]
        case If():
            return [
                ("? condition:", node.condition),
                ("✓ then:", node.then),
                *_optional("✗ else:", node.otherwise),
            ]
        case IfRows():
            condition = _Rows(name=node.name.value)
            return [
                ("? condition:", condition),
                ("✓ then:", node.then),
                *_optional("✗ else:", node.otherwise),
            ]
        case Loop():
            return [("↻ body:", node.body), *_optional("? while:", node.condition)]
        case Map() | Retry():
            return [("↻ body:", node.body)]
        case WaitFor():
            return [("? until:", node.query)]
        case Atomic():
            return [("▸ body:", node.body)]
        case Timeout():
            return [("▸ body:", node.body), *_optional("✗ else:", node.otherwise)]
        case Try():
            return [("▸ body:", node.body), ("✗ catch:", node.catch), *_optional("▸ finally:", node.final)]
        case Compensate():
            return [("▸ body:", node.body), ("↩ undo:", node.undo)]
        case _:
            return []


def _optional(label: str, part: Expression | None) -> list[tuple[str, Expression | _Rows]]:
    return [] if part is None else [(label, part)]


def _branches(branches: Sequence[Expression]) -> list[tuple[str, Expression | _Rows]]:
    return [(f"║ branch {number}:", branch) for number, branch in enumerate(branches, start=1)]


def _line(spot: _Spot, node: Expression | _Rows) -> str:
    """Kind, name of the step, the beginning of what it does, what there is to say, names of the result."""
    names = list(spot.given)
    steps = [index for index, (_, is_step) in enumerate(names) if is_step]
    head = names.pop(steps[-1])[0] if steps else None
    word, what, said = _described(node)
    said = [*spot.policies, *said]
    line = word if head is None else f"{word} {head}"
    if what:
        line += f": {what}" if head is not None or word == "SQL" else f" {what}"
    if said:
        line += f" ({', '.join(said)})"
    return line + "".join([f" |=> '{name}'" for name, _ in reversed(names)])


def _described(node: Expression | _Rows) -> tuple[str, str, Sequence[str]]:
    """The word for a node, what it does, and what is said of it in parentheses."""
    match node:
        case Sql(query=query):
            return "SQL", short(query.value, SQL_CHARACTERS), _policies(node.policies)
        case Ref(text=text):
            return "SQL", short(text.value, SQL_CHARACTERS), ()
        case Http():
            word = "HTTP" if node.parts is None else "HTTP_MULTIPART"
            return word, f"{node.method} {short(node.url.value, TEXT_CHARACTERS)}", _policies(node.policies)
        case Break():
            return "BREAK", "" if node.value is None else _quoted(node.value.value, VALUE_CHARACTERS), ()
        case Chain():
            return "STEP", "", ()
        case Join(branches=branches, cancels=cancels) | FanOut(branches=branches, cancels=cancels):
            word = "JOIN" if isinstance(node, Join) else "PARALLEL"
            return word, "", [str(len(branches)), *(["cancels at the first failure"] if cancels else [])]
        case _Rows(name=name):
            return "ROWS", f"${name}", ()
        case Sleep() | WaitUntil() | WaitSchedule() | WaitSignal() | CallWorkflow() | WaitInstance():
            return _waiting(node)
        case Step() | Bind() | Constant() | Hole():
            raise ValueError("what only gives a name, is nobody's, or faulty, has no line")
        case _:
            return _structure(node)


def _waiting(node: Waiting) -> tuple[str, str, Sequence[str]]:
    match node:
        case Sleep(duration=length):
            known = isinstance(length, Duration)
            return "SLEEP", duration(length) if known else _quoted(length.value, TEXT_CHARACTERS), ()
        case WaitUntil(at=at):
            return "WAIT_UNTIL", _quoted(at.value, TEXT_CHARACTERS), ()
        case WaitSchedule(cron=cron, time_zone=zone):
            said = [] if zone is None else [short(zone, TEXT_CHARACTERS)]
            return "WAIT", _quoted(cron.value, TEXT_CHARACTERS), said
        case WaitSignal(name=name, timeout=timeout):
            return "SIGNAL", _quoted(name.value, TEXT_CHARACTERS), _lengths(timeout)
        case CallWorkflow(workflow=name, input=given):
            what = _quoted(name.value, TEXT_CHARACTERS)
            what += "" if given is None else f" {short(given, TEXT_CHARACTERS)}"
            return "CALL", what, _policies(node.policies)
        case WaitInstance(instance=instance, timeout=timeout):
            return "WAIT_INSTANCE", _quoted(instance.value, TEXT_CHARACTERS), _lengths(timeout)
        case _:
            assert_never(node)


def _lengths(timeout: Duration | None) -> list[str]:
    return [] if timeout is None else [duration(timeout)]


def _structure(node: Structured) -> tuple[str, str, Sequence[str]]:
    match node:
        case Race():
            count = len(arms_of(node))
            return "RACE", "", () if count == 2 else (str(count),)
        case If() | IfRows():
            return "IF", "", ()
        case Loop():
            kept = ["keeps its undos"] if node.keep_undos else []
            return "LOOP", "", ["infinite" if node.condition is None else "while", *kept]
        case Map():
            return "MAP", f"${node.name.value} of {short(_items(node.items), SQL_CHARACTERS)}", _map(node)
        case Atomic() | Retry():
            return type(node).__name__.upper(), "", _policies(node.policies)
        case Timeout():
            return "TIMEOUT", duration(node.duration), ()
        case Try() | Compensate():
            return type(node).__name__.upper(), "", ()
        case WaitFor(every=every, timeout=timeout):
            limit = [] if timeout is None else [f"at most {duration(timeout)}"]
            return "WAIT_FOR", "", [f"every {duration(every)}", *limit]
        case _:
            assert_never(node)


def _items(items: Expression) -> str:
    match items:
        case Sql(query=text) | Ref(text=text):
            return text.value
        case _:
            raise ValueError("the items of a map are a query or a reference")


def _map(node: Map) -> list[str]:
    said = [] if node.max_parallel == 16 else [f"{node.max_parallel} at a time"]
    if node.batch_size != 1:
        said.append(f"{node.batch_size} rows each")
    if node.on_error == "continue":
        said.append("goes on after an error")
    return said


def _policies(policies: Policies) -> tuple[str, ...]:
    """What of policies changes what people see of a step."""
    given = dict(policies.given)
    said = [_said(name, given[name]) for name in _SHOWN if name in given]
    return tuple([each for each in said if each is not None])


_SHOWN = (
    "max_attempts",
    "timeout",
    "rate_limit",
    "delivery",
    "database",
    "autocommit",
    "isolation",
    "on_error",
)


def _said(name: str, value: PolicyValue) -> str | None:
    match name, value:
        case "max_attempts", int():
            return f"{value} attempt{'' if value == 1 else 's'}"
        case "timeout", Duration():
            return f"at most {duration(value)}"
        case "rate_limit" | "isolation", str():
            return short(value, TEXT_CHARACTERS)
        case "database", str():
            return f"in {short(value, TEXT_CHARACTERS)}"
        case "delivery", "at_most_once":
            return "at most once"
        case "autocommit", True:
            return "autocommit"
        case "on_error", "continue":
            return "goes on after an error"
        case _:
            return None


def duration(length: Duration) -> str:
    """A length of time: `1 mon 2 days 90s`."""
    parts = [
        f"{count} {unit}{'' if abs(count) == 1 else 's'}"
        for count, unit in ((length.months, "mon"), (length.days, "day"))
        if count
    ]
    if length.microseconds or not parts:
        seconds, fraction = divmod(abs(length.microseconds), 1_000_000)
        decimals = f".{fraction:06d}".rstrip("0") if fraction else ""
        parts.append(f"{'-' if length.microseconds < 0 else ''}{seconds}{decimals}s")
    return " ".join(parts)


def short(text: str, most: int) -> str:
    """A text in one line: breaks with the blanks around them are one blank; cut at `most` characters."""
    line = _BREAKS.sub(" ", text[:_READ_CHARACTERS]).strip(" ")
    return f"{line[: most - 3]}..." if len(line) > most or len(text) > _READ_CHARACTERS else line


def _quoted(text: str, most: int) -> str:
    return f"'{short(text, most)}'"
