"""The SQL of steps in a layout of its own: the strings that hold it, replaced in the text of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dfc.compiler.ast import Expression, ServerStatement, Sql, Statement, Text
from dfc.compiler.layout.document import Block
from dfc.compiler.names import is_identifier
from dfc.compiler.outline import outline
from dfc.grammar.lexer import STRINGS, Kind, scan

SqlLayout = Callable[[str], "tuple[str, ...] | None"]
"""The lines of a step's SQL in another layout; None where it stays as it is."""


def with_sql(text: str, statements: Sequence[Statement], sql: SqlLayout) -> tuple[str, dict[int, Block]]:
    """The text with the SQL of its steps in their layout; the lines of those that have several, by place."""
    parts: list[str] = []
    blocks: dict[int, Block] = {}
    position = length = 0
    for literal in sorted(_literals(statements), key=lambda literal: literal.span.start):
        start, end = literal.span.start, literal.span.end
        if start < position:
            continue
        lines = sql(literal.value) if _is_one(text[start:end]) else None
        written = None if lines is None else _written(text[start:end], lines)
        if lines is None or written is None:
            continue
        parts += [text[position:start], written]
        length += start - position
        if len(lines) > 1:
            delimiter = written[: written.index("$", 1) + 1]
            blocks[length] = Block(delimiter, lines, delimiter)
        length += len(written)
        position = end
    return "".join([*parts, text[position:]]), blocks


def _literals(statements: Sequence[Statement]) -> Iterator[Text]:
    for statement in statements:
        if isinstance(statement, ServerStatement):
            continue
        for tree in (statement.body, statement.on_failure):
            yield from () if tree is None else _queries(tree)


def _queries(tree: Expression) -> Iterator[Text]:
    for unit in outline(tree).units:
        match unit.tree:
            case Sql(query=query):
                yield query
            case _:
                items = getattr(unit.tree, "items", None)
                if isinstance(items, Sql):
                    yield items.query


def _is_one(written: str) -> bool:
    """Whether a text is one literal, of a form that holds any text as it is."""
    lexeme = next(scan(written), None)
    return (
        lexeme is not None
        and lexeme.end == len(written)
        and lexeme.kind in STRINGS
        and (lexeme.kind is Kind.DOLLAR_STRING or (lexeme.kind is Kind.STRING and written.startswith("'")))
    )


def _written(before: str, lines: Sequence[str]) -> str | None:
    """The lines as a literal; None where none can hold them."""
    value = "\n".join(lines)
    if len(lines) == 1 and before.startswith("'"):
        if is_identifier(value):
            return None  # alone it would be the name of a workflow, not SQL
        doubled = value.replace("'", "''")
        return f"'{doubled}'"
    tags = [before[: before.index("$", 1) + 1]] if before.startswith("$") else []
    for delimiter in (*tags, "$sql$", "$dfc$"):
        if delimiter not in value:
            return (
                f"{delimiter} {value} {delimiter}"
                if len(lines) == 1
                else f"{delimiter}\n{value}\n{delimiter}"
            )
    return None
