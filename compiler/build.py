"""From the parts that the parser finds to the tree of `ast`: grouping, constants, calls.

The parser hands over one rule at a time, the innermost first, so nothing here recurses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from dfc.compiler import constants
from dfc.compiler.ast import Bind, Chain, Expression, FanOut, If, Join, Loop, Race, Text, placeholder
from dfc.compiler.constants import ConstantFault
from dfc.compiler.diagnostics import Diagnostic, error
from dfc.compiler.functions import Functions
from dfc.compiler.grouping import Mixed, Operation, mixed
from dfc.compiler.names import is_identifier
from dfc.compiler.plan_names import name_of
from dfc.compiler.span import Span
from dfc.compiler.strings import StringFault, is_unicode_escape_character, string_value
from dfc.compiler.values import (
    Argument,
    Array,
    Faulty,
    Null,
    Number,
    String,
    Submission,
    Tree,
    Truth,
    Value,
    described,
    faulty,
    joined,
    without_blanks_at_end,
)
from dfc.grammar.lexer import Lexeme


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A token: its terminal in the grammar, its text as written, and the lexeme that it came from."""

    type: str
    written: str
    lexeme: Lexeme

    @property
    def span(self) -> Span:
        """Where the token stands."""
        return Span(self.lexeme.start, self.lexeme.end)

    @property
    def name(self) -> str:
        """The name that an identifier is: folded to lower case, or what stands between the quotes."""
        return name_of(self.written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name of a function or type: its parts, `df` and `step`."""

    parts: tuple[str, ...]
    span: Span

    @property
    def type_name(self) -> str:
        """The name as that of a type, PostgreSQL's own without their schema."""
        parts = self.parts[1:] if len(self.parts) > 1 and self.parts[0] == "pg_catalog" else self.parts
        return ".".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of a call, in order."""

    items: tuple[Argument, ...]


SIGNS = {"CHAIN": "~>", "FAN": "|=>", "JOIN": "&", "RACE": "|", "THEN": "?>", "ELSE": "!>"}
"""The workflow operators by their terminals."""

_RESERVED = frozenset({"do"})
"""Names of arguments that PostgreSQL takes only in quotes."""

_Compute: TypeAlias = Callable[[], Value]
Part: TypeAlias = Value | Leaf | Named | Argument | Arguments


@dataclass(slots=True)
class _Group:
    """The left side of an operator while it grows: a chain, fan-out or text is put together at its end."""

    value: Value
    open: str = ""
    items: list[Expression] | None = None
    texts: list[String] | None = None

    def closed(self) -> Value:
        """The left side as one value."""
        if self.items is not None and self.open == "CHAIN":
            return Tree(expression=Chain(items=tuple(self.items), span=self.value.span), span=self.value.span)
        if self.items is not None:
            return Tree(
                expression=FanOut(branches=tuple(self.items), span=self.value.span), span=self.value.span
            )
        if self.texts is not None:
            return joined(self.texts, self.value.span)
        return self.value


class Builder:
    """Makes the parts of one statement; `problems` collects what is wrong with them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[Diagnostic] = []
        self.mixed: list[Mixed] = []
        self._loops: set[Span] = set()
        self.functions = Functions(self.problems.append)
        self._rules = {
            "start": self._first,
            "expression": self._expression,
            "operand": self._operand,
            "spelled": self._spelled,
            "sign": self._sign,
            "cast": self._cast,
            "string": self._string,
            "number": self._number,
            "word": self._word,
            "group": self._parentheses,
            "call": self._call,
            "arguments": self._arguments,
            "named": self._argument,
            "variadic": self._argument,
            "typed": self._typed,
            "converted": self._converted,
            "array": self._array,
            "type": self._type,
            "modifiers": self._enclosed,
            "bounds": self._enclosed,
            "name": self._name,
        }

    def build(self, rule: str, parts: list[Part]) -> Part:
        """What a rule of the grammar means, given what its parts mean."""
        return self._rules[rule](parts)

    def _fault(self, code: str, message: str, span: Span, *, label: str = "", help: str = "") -> Faulty:
        self.problems.append(error(code, message, span, label=label, help=help))
        return Faulty(span=span)

    # The small parts

    def _first(self, parts: list[Part]) -> Part:
        return parts[0]

    def _enclosed(self, parts: list[Part]) -> Part:
        """What begins with a bracket, as that bracket with the span of all of it."""
        first, last = parts[0], parts[-1]
        assert isinstance(first, Leaf) and isinstance(last, Leaf)
        return replace(first, lexeme=Lexeme(first.lexeme.kind, first.lexeme.start, last.lexeme.end))

    def _spelled(self, parts: list[Part]) -> Part:
        """The operator inside of `OPERATOR(df.~>)`, with the span of all of it."""
        first, inside, last = parts[0], parts[-2], parts[-1]
        assert isinstance(first, Leaf) and isinstance(inside, Leaf) and isinstance(last, Leaf)
        return replace(inside, lexeme=Lexeme(inside.lexeme.kind, first.lexeme.start, last.lexeme.end))

    def _name(self, parts: list[Part]) -> Part:
        words = [part for part in parts if isinstance(part, Leaf)]
        names = tuple(word.name for word in words if word.type != "DOT")
        return Named(parts=names, span=words[0].span.to(words[-1].span))

    def _type(self, parts: list[Part]) -> Part:
        name = parts[0]
        assert isinstance(name, Named)
        words = [part.name for part in parts[1:] if isinstance(part, Leaf) and part.type == "IDENT"]
        marks = [part for part in parts[1:] if isinstance(part, Leaf) and part.type != "IDENT"]
        last = parts[-1].span if not isinstance(parts[-1], Arguments) else name.span
        written = " ".join((name.type_name, *words)) + "".join(
            "[]" if m.type == "LSQB" else "()" for m in marks
        )
        return Named(parts=(written,), span=name.span.to(last))

    # Constants

    def _string(self, parts: list[Part]) -> Part:
        leaves = [part for part in parts if isinstance(part, Leaf)]
        span = leaves[0].span.to(leaves[-1].span)
        escape = "\\"
        if len(leaves) == 3:
            escape, _ = string_value(self.text, leaves[2].lexeme)
            if not is_unicode_escape_character(escape):
                help = "use one character that is no hexadecimal digit, `+`, quote or blank"
                return self._fault("DF153", "this cannot be an escape character", leaves[2].span, help=help)
        try:
            value, pieces = string_value(self.text, leaves[0].lexeme, escape)
        except StringFault as fault:
            self._fault("DF153", fault.message, fault.span, help=fault.help)
            return Faulty(span=span)
        text = Text(value=value, span=span, pieces=pieces)
        if leaves[0].written[0] in "nN":
            # N'...' is of type `character`: on its way to text it loses the blanks at its end.
            return String(text=without_blanks_at_end(text), typed=True, span=span)
        return String(text=text, span=span)

    def _number(self, parts: list[Part]) -> Part:
        leaf = parts[0]
        assert isinstance(leaf, Leaf)
        digits = constants.number_of(leaf.written)
        if digits is None:
            return self._fault(
                "DF159", "this number is out of range", leaf.span, help="write a number that fits `numeric`"
            )
        return Number(digits=digits, span=leaf.span)

    def _word(self, parts: list[Part]) -> Part:
        leaf = parts[0]
        assert isinstance(leaf, Leaf)
        if leaf.type == "NULL":
            return Null(span=leaf.span)
        return Truth(value=leaf.type == "TRUE", span=leaf.span)

    def _sign(self, parts: list[Part]) -> Part:
        sign, value = parts[0], _value(parts[1])
        assert isinstance(sign, Leaf)
        span = sign.span.to(value.span)
        if sign.type == "PLUS" and isinstance(value, Number):
            return replace(value, span=span)
        return self._computed(lambda: constants.negated(value, span), value, span)

    def _cast(self, parts: list[Part]) -> Part:
        value, kind = _value(parts[0]), parts[2]
        assert isinstance(kind, Named)
        return self._converted_to(value, kind.parts[0], value.span.to(kind.span))

    def _converted(self, parts: list[Part]) -> Part:
        first, value, kind, last = parts[0], _value(parts[2]), parts[4], parts[5]
        assert isinstance(first, Leaf) and isinstance(kind, Named) and isinstance(last, Leaf)
        return self._converted_to(value, kind.parts[0], first.span.to(last.span))

    def _typed(self, parts: list[Part]) -> Part:
        name, value = parts[0], _value(parts[-1])
        assert isinstance(name, Named)
        words = [part.name for part in parts[1:-1] if isinstance(part, Leaf)]
        return self._converted_to(value, " ".join((name.type_name, *words)), name.span.to(value.span))

    def _converted_to(self, value: Value, type_name: str, span: Span) -> Value:
        return self._computed(lambda: constants.cast(value, type_name, span), value, span)

    def _computed(self, compute: _Compute, operand: Value, span: Span) -> Value:
        try:
            return compute()
        except ConstantFault as fault:
            self._fault(fault.code, fault.message, fault.span, help=fault.help)
            return faulty((operand,), span)

    def _array(self, parts: list[Part]) -> Part:
        first, last = parts[0], parts[-1]
        assert isinstance(first, Leaf) and isinstance(last, Leaf)
        items = tuple(_value(part) for part in parts if not isinstance(part, Leaf))
        return Array(items=items, span=first.span.to(last.span))

    # Calls

    def _argument(self, parts: list[Part]) -> Part:
        value = _value(parts[-1])
        first = parts[0]
        name = first.name if isinstance(first, Leaf) and first.type == "IDENT" else None
        if isinstance(first, Leaf) and name in _RESERVED and not first.written.startswith('"'):
            help = f"""write `"{name}" => ...`, or leave the name out"""
            self._fault("DF101", f"`{first.written}` is a reserved word of SQL", first.span, help=help)
        variadic = isinstance(first, Leaf) and first.type == "VARIADIC"
        start = first.span if isinstance(first, Leaf) else value.span
        return Argument(value=value, name=name, variadic=variadic, span=start.to(value.span))

    def _arguments(self, parts: list[Part]) -> Part:
        given = [part for part in parts if not isinstance(part, Leaf)]
        return Arguments(items=tuple(p if isinstance(p, Argument) else _positional(_value(p)) for p in given))

    def _call(self, parts: list[Part]) -> Part:
        name, last = parts[0], parts[-1]
        assert isinstance(name, Named) and isinstance(last, Leaf)
        arguments = parts[2].items if isinstance(parts[2], Arguments) else ()
        return self.functions.call(name.parts, name.span, arguments, name.span.to(last.span))

    # Operators

    def _parentheses(self, parts: list[Part]) -> Part:
        first, last = parts[0], parts[2]
        assert isinstance(first, Leaf) and isinstance(last, Leaf)
        return replace(_value(parts[1]), span=first.span.to(last.span))

    def _operand(self, parts: list[Part]) -> Part:
        value = _value(parts[-1])
        for loop in reversed(parts[:-1]):
            assert isinstance(loop, Leaf)
            body = self.functions.expression(value)
            span = loop.span.to(value.span)
            self._loops.add(span)
            value = Tree(expression=Loop(body=body, span=span), span=span)
        return value

    def _expression(self, parts: list[Part]) -> Part:
        """Group a flat list of operands and operators from the left."""
        self._note_mixed(parts)
        group = _Group(_value(parts[0]))
        for operator, part in zip(parts[1::2], parts[2::2], strict=True):
            assert isinstance(operator, Leaf)
            group = self._grown(group, operator, _value(part))
        return group.closed()

    def _note_mixed(self, parts: list[Part]) -> None:
        """Keep a row of mixed operators for the lint; `||` within the texts of one step is none of them."""
        if len(parts) < 3:
            return
        operands = [_value(parts[0]).span]
        operations: list[Operation] = []
        for operator, part in zip(parts[1::2], parts[2::2], strict=True):
            assert isinstance(operator, Leaf)
            right = _value(part)
            if operator.type == "CONCAT":
                operands[-1] = operands[-1].to(right.span)
                continue
            names = operator.type == "FAN" and isinstance(right, String) and is_identifier(right.text.value)
            operations.append(Operation(sign=SIGNS[operator.type], span=operator.span, names=names))
            operands.append(right.span)
        prefixed = [self._prefixed(span) for span in operands]
        found = mixed(self.text, operands, operations, prefixed)
        if found is not None:
            self.mixed.append(found)

    def _prefixed(self, operand: Span) -> bool:
        return operand in self._loops

    def _grown(self, group: _Group, operator: Leaf, right: Value) -> _Group:
        span = group.value.span.to(right.span)
        if operator.type == "CONCAT":
            return self._concatenated(group, operator, right, span)
        if operator.type == "FAN" and isinstance(right, String) and is_identifier(right.text.value):
            body = self.functions.expression(group.closed())
            name = self.functions.name(right)
            return _Group(Tree(expression=Bind(name=name, body=body, span=span), span=span))
        if operator.type == group.open and group.items is not None:
            group.items += _items(self.functions.expression(right), operator.type)
            group.value = replace(group.value, span=span)
            return group
        left = group.closed()
        first, second = self.functions.expression(left), self.functions.expression(right)
        if operator.type == "ELSE" and isinstance(left, Faulty):
            # Whether there was to be a `?>` in it, nobody knows.
            return _Group(Faulty(rest=placeholder((first, second), span), span=span))
        return self._combined(operator, first, second, span)

    def _combined(self, operator: Leaf, first: Expression, second: Expression, span: Span) -> _Group:
        match operator.type:
            case "CHAIN":
                items = [*_items(first, "CHAIN"), *_items(second, "CHAIN")]
                return _Group(Null(span=span), "CHAIN", items)
            case "FAN":
                # A group that is cancelled as a whole does not grow.
                extended = (first,) if not isinstance(first, FanOut) or first.cancels else first.branches
                return _Group(Null(span=span), "FAN", [*extended, second])
            case "JOIN":
                return _Group(Tree(expression=Join(branches=(first, second), span=span), span=span))
            case "RACE":
                return _Group(Tree(expression=Race(arms=(first, second), span=span), span=span))
            case "THEN":
                return _Group(Tree(expression=If(condition=first, then=second, span=span), span=span))
            case "ELSE" if isinstance(first, If) and first.otherwise is None:
                return _Group(Tree(expression=replace(first, otherwise=second, span=span), span=span))
            case "ELSE":
                self._fault(
                    "DF164",
                    "`!>` has no `?>` on its left side",
                    operator.span,
                    label="operators group from the left",
                    help="write `condition ?> (then) !> (else)`",
                )
                return _Group(Faulty(rest=placeholder((first, second), span), span=span))
            case _:
                raise AssertionError(operator.type)

    def _concatenated(self, group: _Group, operator: Leaf, right: Value, span: Span) -> _Group:
        left = group.value if group.texts is not None else group.closed()
        if isinstance(left, Faulty) or isinstance(right, Faulty):
            return _Group(faulty((left, right), span))
        if isinstance(left, String) and isinstance(right, String):
            texts = group.texts if group.texts is not None else [left]
            texts.append(right)
            return _Group(replace(left, span=span), "CONCAT", texts=texts)
        if isinstance(left, Tree | Submission) or isinstance(right, Tree | Submission):
            self._fault(
                "DF115",
                "text is joined to a workflow expression with `||`",
                operator.span,
                label="`||` groups from the left, like `~>`",
                help="put the text and its `||` in parentheses",
            )
            return _Group(faulty((left, right), span))
        if isinstance(left, Null) or isinstance(right, Null):
            return _Group(Null(span=span))
        other = right if isinstance(left, String) else left
        self._fault(
            "DF165",
            f"`||` here joins strings, not {described(other)}",
            other.span,
            help="write the whole text as one string",
        )
        return _Group(faulty((left, right), span))


def _value(part: Part) -> Value:
    match part:
        case Leaf() | Named() | Argument() | Arguments():
            raise AssertionError(f"the grammar has put {part} where a value belongs")
        case _:
            return part


def _positional(value: Value) -> Argument:
    return Argument(value=value, name=None, variadic=False, span=value.span)


def _items(expression: Expression, operator: str) -> Sequence[Expression]:
    return expression.items if operator == "CHAIN" and isinstance(expression, Chain) else (expression,)
