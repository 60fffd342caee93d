"""How each rule of the grammar is laid out: on one line where that fits, else in a way of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from dfc.compiler.build import Leaf
from dfc.compiler.layout.calls import Argument, expressions_of, laid_call
from dfc.compiler.layout.document import Block, Document, Either, Indent, Newline, Space, Text
from dfc.compiler.layout.pieces import NOTHING, Laid, closing, document, glued, laid_token
from dfc.compiler.layout.stream import Token

_Part: TypeAlias = "Laid | Leaf | Arguments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of a call, each with the comma behind it."""

    items: tuple[Argument, ...]


class Layout:
    """Lays out one statement, rule by rule; `blocks` are texts that have a layout of their own, by token."""

    def __init__(self, tokens: Sequence[Token], blocks: Mapping[int, Block]) -> None:
        self._tokens = tokens
        self._blocks = blocks
        self._rules: dict[str, Callable[[list[_Part]], _Part]] = {
            "expression": self._row,
            "operand": lambda parts: replace(self._spaced(parts), kind="loop"),
            "spelled": self._tight,
            "sign": self._sign,
            "cast": self._tight,
            "string": lambda parts: replace(self._spaced(parts), kind="string"),
            "group": self._group,
            "call": self._call,
            "arguments": self._arguments,
            "named": lambda parts: replace(self._spaced(parts), name=self._token(parts[0]).text),
            "variadic": self._spaced,
            "typed": self._spaced,
            "converted": self._converted,
            "array": self._array,
            "type": self._type,
            "modifiers": self._modifiers,
            "bounds": self._tight,
            "name": self._name,
        }

    def build(self, rule: str, parts: list[_Part]) -> _Part:
        """A rule, given its parts."""
        lay = self._rules.get(rule)
        return self._laid(parts[0]) if lay is None else lay(parts)

    def _token(self, part: _Part) -> Token:
        assert isinstance(part, Leaf)
        return self._tokens[part.lexeme.start]

    def _laid(self, part: _Part) -> Laid:
        if isinstance(part, Leaf):
            return laid_token(self._token(part), self._blocks.get(part.lexeme.start))
        assert isinstance(part, Laid)
        return part

    def _spaced(self, parts: list[_Part]) -> Laid:
        return glued([self._laid(part) for part in parts], " ")

    def _tight(self, parts: list[_Part]) -> Laid:
        return glued([self._laid(part) for part in parts], "")

    def _name(self, parts: list[_Part]) -> Laid:
        words = [self._laid(part) for part in parts]
        return replace(glued(words, ""), text="".join([word.text for word in words]))

    def _sign(self, parts: list[_Part]) -> Laid:
        value = self._laid(parts[1])
        # `--` would begin a comment.
        return replace(glued([self._laid(parts[0]), value], " " if value.kind == "sign" else ""), kind="sign")

    def _modifiers(self, parts: list[_Part]) -> Laid:
        found: list[Laid] = []
        for part in parts:
            found.append(self._laid(part))
            if isinstance(part, Leaf) and part.type == "COMMA":
                found.append(Laid(flat=" ", part=Space()))
        return glued(found, "")

    def _type(self, parts: list[_Part]) -> Laid:
        found: list[Laid] = []
        for index, part in enumerate(parts):
            if index and isinstance(part, Leaf):
                found.append(Laid(flat=" ", part=Space()))
            found.append(self._laid(part))
        return glued(found, "")

    def _converted(self, parts: list[_Part]) -> Laid:
        cast, opening, value, word, kind, end = map(self._laid, parts)
        inside = glued([value, word, kind], " ")
        return glued([cast, opening, inside, end], "")

    # Brackets

    def _group(self, parts: list[_Part]) -> Laid:
        opening, inner, end = (self._laid(part) for part in parts)
        flat = glued([opening, inner, end], "").flat
        inside, last = closing(self._token(parts[2]), end)
        part: Document = (
            document(opening),
            Indent((Newline(), document(inner), *inside)),
            Newline(),
            last,
        )
        return Laid(flat=flat, part=part, kind="group", blank=opening.blank, led=opening.led)

    def _arguments(self, parts: list[_Part]) -> Arguments:
        items: list[Argument] = []
        for part, comma in zip(parts[::2], [*parts[1::2], None], strict=True):
            behind = NOTHING if comma is None else self._laid(comma)
            items.append(Argument(laid=self._laid(part), comma=behind))
        return Arguments(items=tuple(items))

    def _call(self, parts: list[_Part]) -> Laid:
        name, opening, end = self._laid(parts[0]), self._laid(parts[1]), self._laid(parts[-1])
        given = parts[2].items if isinstance(parts[2], Arguments) else ()
        head = replace(glued([name, opening], ""), text=f"{name.text}(")
        function = name.text.removeprefix("df.")
        arguments = expressions_of(function, given)
        return laid_call(function, head, arguments, self._token(parts[-1]), end)

    def _array(self, parts: list[_Part]) -> Laid:
        head = replace(self._tight(parts[:2]), text="ARRAY[")
        inside = self._arguments(parts[2:-1]).items if len(parts) > 3 else ()
        elements = tuple(replace(each, expression=True) for each in inside)
        return replace(
            laid_call("", head, elements, self._token(parts[-1]), self._laid(parts[-1])), kind="array"
        )

    # Operators

    def _row(self, parts: list[_Part]) -> Laid:
        laid = [self._laid(part) for part in parts]
        flat = glued(laid, " ").flat
        pieces: list[Document] = [document(laid[0])]
        for index in range(1, len(parts), 2):
            operator, operand = laid[index], laid[index + 1]
            written = (document(operator), Space(), Indent(document(operand)))
            if operator.text == "|=>" and operand.is_name and operator.flat and operand.flat:
                pieces.append(_binding(operator, operand))
            elif operator.text == "||":
                pieces.append(Indent((Newline(), *written)))
            else:
                pieces += [Newline(operator.blank), document(operator), Space(), document(operand)]
        return Laid(flat=flat, part=tuple(pieces), kind="row", blank=laid[0].blank, led=laid[0].led)


def _binding(operator: Laid, operand: Laid) -> Document:
    """A name right behind what it is the name of."""
    flat = f" {operator.flat} {operand.flat}"
    return Either(flat, Indent((Newline(), Text(flat[1:]))))
