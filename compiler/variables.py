"""Variables of `df.setvar`: `{name}` in the texts of an expression, replaced by the values of its start.

A value is put in as it is, in one pass from left to right: what it brings along is not looked at for further
variables, and is then compiled like everything else. A `{name}` without a value stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import fields, replace

from dfc.compiler.ast import Expression, Http, Sql, Text
from dfc.compiler.json_text import Json, JsonArray, JsonObject, read_json, write_jsonb
from dfc.compiler.span import Span
from dfc.grammar.lexer import STRINGS, Kind, scan

Variables = Mapping[str, str]

NO_VARIABLES: Variables = {}

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
OPAQUE = "SELECT * FROM pg_temp.what_nobody_knows"
_QUOTED = STRINGS | {Kind.QUOTED_IDENT, Kind.BIT_STRING, Kind.COMMENT}
_QUERY = re.compile(
    r"\s*(?:select|insert|update|delete|merge|with|values|table|vacuum|analyze|reindex|refresh|truncate|lock)\b",
    re.IGNORECASE,
)
_CALLED = re.compile(
    r"\}\s*\((?!\s*[A-Za-z_\"][^()]*\)\s*(?:values|select|with|overriding|default)\b)", re.IGNORECASE
)
_PART_KEYS = ("name", "filename", "data_b64")


def spliced(tree: Expression, variables: Variables) -> Expression:
    """The expression with values in its statements and requests. Names and the values of breaks stay."""
    return _rewritten(tree, lambda node: _with_values(node, variables)) if variables else tree


def _rewritten(tree: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """The expression with each node changed, the parts of one before it is."""
    done: list[Expression] = []
    todo: list[tuple[Expression, bool]] = [(tree, False)]
    while todo:
        node, ready = todo.pop()
        if not ready:
            todo.append((node, True))
            todo.extend((child, False) for child in reversed(children(node)))
            continue
        count = len(children(node))
        parts = done[len(done) - count :]
        del done[len(done) - count :]
        done.append(change(_with_children(node, parts)))
    return done[0]


def without(tree: Expression, opaque: Set[Span]) -> Expression:
    """The expression with something that nobody knows in place of the statements that stand there."""
    return _rewritten(tree, lambda node: _unknown(node, opaque))


def _unknown(node: Expression, opaque: Set[Span]) -> Expression:
    if not isinstance(node, Sql) or node.query.span not in opaque:
        return node
    return replace(node, query=Text(value=OPAQUE, span=node.query.span))


def may_make(statement: str) -> bool:
    """Whether variables decide on what it does to a schema: it is no query, or they name a function."""
    return _QUERY.match(statement) is None or _CALLED.search(statement) is not None


def template_texts(tree: Expression) -> Iterator[Text]:
    """The texts of an expression that have a `{name}` in them, in written order."""
    for text, _ in _templates(tree):
        yield text


def uncertain_places(tree: Expression) -> Iterator[tuple[Text, list[Span]]]:
    """The same, each with the parts of the source that variables decide on."""
    for text, is_sql in _templates(tree):
        yield text, list(_uncertain(text)) if is_sql else [text.span]


def _templates(tree: Expression) -> Iterator[tuple[Text, bool]]:
    """The texts with a `{name}`, and whether each is a statement."""
    todo = [tree]
    while todo:
        node = todo.pop()
        todo.extend(reversed(children(node)))
        match node:
            case Sql():
                texts = [node.query]
            case Http():
                # Headers and parts have no place of their own: that of the request is theirs.
                documents = [Text(value=text, span=node.span) for text in (node.headers, node.parts) if text]
                texts = [node.url, *documents, *([node.body] if node.body is not None else [])]
            case _:
                continue
        yield from ((text, isinstance(node, Sql)) for text in texts if _PLACE.search(text.value))


def _uncertain(text: Text) -> Iterator[Span]:
    """The parts of a statement that variables decide on.

    A `{name}` in a literal decides on that literal, one in code on everything from there on: PostgreSQL's
    parser stops at the first token that cannot go on, whatever stands behind it.
    """
    value = text.value
    places = iter([found.start() for found in _PLACE.finditer(value)])
    place = next(places, None)
    for lexeme in scan(value):
        if place is None:
            return
        if lexeme.end <= place:
            continue
        if lexeme.kind not in _QUOTED:
            # What stands in front of it without a blank between is part of the same token.
            start = min(lexeme.start, place)
            while start and not value[start - 1].isspace():
                start -= 1
            yield text.locate(start, len(value))
            return
        yield text.locate(lexeme.start, lexeme.end)
        while place is not None and place < lexeme.end:
            place = next(places, None)


def children(node: Expression) -> list[Expression]:
    """The expressions that a node is made of, in written order."""
    found: list[Expression] = []
    for field in fields(node):
        value: object = getattr(node, field.name)
        if isinstance(value, Expression):
            found.append(value)
        elif isinstance(value, tuple):
            found += [item for item in value if isinstance(item, Expression)]  # pyright: ignore
    return found


def _with_children(node: Expression, parts: list[Expression]) -> Expression:
    """The node with other children in place of its own."""
    if not parts:
        return node
    left = iter(parts)
    changed: dict[str, object] = {}
    for field in fields(node):
        value: object = getattr(node, field.name)
        if isinstance(value, Expression):
            changed[field.name] = next(left)
        elif isinstance(value, tuple) and any(isinstance(item, Expression) for item in value):  # pyright: ignore
            changed[field.name] = tuple([next(left) for _ in value])  # pyright: ignore
    return replace(node, **changed)  # pyright: ignore


def _with_values(node: Expression, variables: Variables) -> Expression:
    match node:
        case Sql():
            return replace(node, query=_text(node.query, variables))
        case Http():
            return replace(
                node,
                url=_text(node.url, variables),
                body=None if node.body is None else _text(node.body, variables),
                headers=_document(node.headers, variables, None),
                parts=_document(node.parts, variables, _PART_KEYS),
            )
        case _:
            return node


def _text(text: Text, variables: Variables) -> Text:
    value = _value(text.value, variables)
    return text if value == text.value else Text(value=value, span=text.span)


def _value(text: str, variables: Variables) -> str:
    return _PLACE.sub(lambda found: variables.get(found[1], found[0]), text)


def _document(text: str | None, variables: Variables, keys: tuple[str, ...] | None) -> str | None:
    """JSON text with values in the strings that stand under `keys`; None: under any."""
    if text is None or _PLACE.search(text) is None:
        return text
    return write_jsonb(_json(read_json(text), variables, keys))


def _json(value: Json, variables: Variables, keys: tuple[str, ...] | None) -> Json:
    """Headers and parts are flat, so that the recursion is."""
    match value:
        case JsonArray(items=items):
            return JsonArray(items=tuple([_json(item, variables, keys) for item in items]))
        case JsonObject(pairs=pairs):
            return JsonObject(
                pairs=tuple(
                    [
                        (
                            key,
                            _value(item, variables)
                            if isinstance(item, str) and (keys is None or key in keys)
                            else item,
                        )
                        for key, item in pairs
                    ]
                )
            )
        case _:
            return value
